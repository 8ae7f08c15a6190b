//! Waiting for requests in flight: on the backend's latch and the pipelines' pipe at once, so that a
//! cancel, a timeout or a shutdown is served without waiting for Google.

use std::time::{Duration, Instant};

use pgrx::check_for_interrupts;

use super::error::Error;
use super::sys;
use crate::engine::pipeline::Wake;

/// Returns when an outcome may have arrived, or `most` has passed. Raises the error of a cancel at once.
pub fn for_outcome(wake: &mut Wake, most: Option<Duration>) -> Result<(), Error> {
    let until = most.map(|most| Instant::now() + most);
    loop {
        check_for_interrupts!();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(());
        }
        // A latch counts whole milliseconds: one too many beats a loop of none.
        let left = left.map(|left| left + Duration::from_millis(1));
        if sys::wait_readable(Some(wake.fd()), left, c"EmbeddingApi") {
            return wake.quiet().map_err(Error::Pipe);
        }
    }
}

/// Lets more outcomes arrive.
pub fn for_more(wake: &mut Wake, time: Duration) -> Result<(), Error> {
    let until = Instant::now() + time;
    while let left = until.saturating_duration_since(Instant::now())
        && !left.is_zero()
    {
        for_outcome(wake, Some(left))?;
    }
    Ok(())
}

/// Sleeps, but for interrupts and whatever else sets the latch.
pub fn briefly() {
    check_for_interrupts!();
    sys::wait_readable(None, Some(Duration::from_millis(200)), c"EmbeddingRun");
    check_for_interrupts!();
}
