//! Requests in flight, seen from the backend: jobs go in, outcomes come out, and a byte in a pipe says
//! that there is one to fetch. The threads behind it (`worker`) are started when there is a job for
//! them and never joined: an abandoned request dies by its own timeout.

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow};

use super::batch::Job;
use super::pace::Wait;
use super::worker::{Outcome, Sending, Worker};

pub struct Pipeline<T> {
    jobs: Sender<Job<T>>,
    outcomes: Receiver<Outcome<T>>,
    wake: PipeReader,
    worker: Arc<Worker<T>>,
    max_threads: usize,
    threads: usize,
    rows_in_flight: usize,
}

/// What the threads have done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Effort {
    pub requests: u64,
    pub retries: u64,
    pub refused_by_quota: u64,
    pub waited: Duration,
    /// Tokens of requests of which nobody knows whether they were billed.
    pub maybe_billed: u64,
}

impl<T: Send + 'static> Pipeline<T> {
    pub fn new(sending: Sending, max_threads: usize) -> io::Result<Pipeline<T>> {
        let (jobs, job_receiver) = mpsc::channel();
        let (outcome_sender, outcomes) = mpsc::channel();
        let (wake, wake_writer) = io::pipe()?;
        Ok(Pipeline {
            jobs,
            outcomes,
            wake,
            worker: Arc::new(Worker::new(
                sending,
                job_receiver,
                outcome_sender,
                wake_writer,
            )),
            max_threads,
            threads: 0,
            rows_in_flight: 0,
        })
    }

    pub fn submit(&mut self, job: Job<T>) -> io::Result<()> {
        if self.threads < self.max_threads {
            self.spawn()?;
        }
        let rows = job.rows.len();
        // The receiver lives in `worker`, so the channel is open as long as we are.
        if self.jobs.send(job).is_ok() {
            self.rows_in_flight += rows;
        }
        Ok(())
    }

    /// An outcome that has arrived, without waiting.
    pub fn try_next(&mut self) -> Option<Outcome<T>> {
        let outcome = self.outcomes.try_recv().ok()?;
        self.rows_in_flight -= outcome.rows.len();
        Some(outcome)
    }

    /// Rows submitted whose outcome has not been fetched.
    pub fn rows_in_flight(&self) -> usize {
        self.rows_in_flight
    }

    /// Sends nothing new. What is in flight still arrives, and what waits comes back unsent.
    pub fn stop(&self) {
        self.worker.pace.stop();
    }

    pub fn effort(&self) -> Effort {
        let worker = &self.worker;
        Effort {
            requests: worker.requests.load(Relaxed),
            retries: worker.retries.load(Relaxed),
            refused_by_quota: worker.refused_by_quota.load(Relaxed),
            waited: worker.pace.waited(),
            maybe_billed: worker.maybe_billed.load(Relaxed),
        }
    }

    /// Why nothing goes out at the moment, if so.
    pub fn wait(&self) -> Option<Wait> {
        self.worker.pace.wait()
    }

    /// Texts a minute, where a limit is set or was taught by a 429.
    pub fn texts_per_minute(&self) -> Option<f64> {
        self.worker.pace.texts_per_minute()
    }

    /// The longest that an answer took so far.
    pub fn slowest_answer(&self) -> Duration {
        Duration::from_millis(self.worker.slowest_ms.load(Relaxed))
    }

    /// Readable when an outcome may be there; see `quiet`.
    pub fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Takes the bytes out of the pipe. Call only when `wake_fd` is readable, or it blocks.
    pub fn quiet(&mut self) -> io::Result<()> {
        self.wake.read(&mut [0; 64]).map(drop)
    }

    fn spawn(&mut self) -> io::Result<()> {
        let worker = Arc::clone(&self.worker);
        // A thread inherits the mask: Postgres's signals must only ever reach its own thread.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let spawned = thread::Builder::new()
            .name("embedding".into())
            .spawn(move || worker.run());
        before.thread_set_mask()?;
        self.threads += 1;
        spawned.map(drop)
    }
}

impl<T> Drop for Pipeline<T> {
    /// Jobs that wait are not sent any more; those in flight end by themselves.
    fn drop(&mut self) {
        self.worker.pace.stop();
    }
}
