//! Waiting for requests in flight: on the backend's latch and the pipeline's pipe at once, so that a
//! cancel, a timeout or a shutdown is served without waiting for Google.

use pgrx::check_for_interrupts;

use super::error::Error;
use super::sys;
use crate::engine::pipeline::Pipeline;

/// Returns when an outcome may have arrived. Raises the error of a cancel at once.
pub fn for_outcome<T: Send + 'static>(pipeline: &mut Pipeline<T>) -> Result<(), Error> {
    loop {
        check_for_interrupts!();
        if sys::wait_readable(pipeline.wake_fd()) {
            return pipeline.quiet().map_err(Error::Pipe);
        }
    }
}
