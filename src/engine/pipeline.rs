//! Requests in flight. Worker threads take jobs and give outcomes back over channels; a byte in a pipe
//! tells the owner that there is something to fetch. Threads never touch Postgres, run with all signals
//! blocked, and are never joined: an abandoned request dies by its own timeout.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::sys::signal::SigSet;

use super::failure::Failure;
use super::http::Client;
use super::key::ApiKey;
use crate::gemini::request::Purpose;
use crate::gemini::response::Answer;

/// Texts to embed in one request, and what the owner wants back with their vectors.
pub struct Job<T> {
    pub texts: Vec<String>,
    pub load: T,
}

pub struct Outcome<T> {
    pub load: T,
    pub result: Result<Answer, Failure>,
}

/// What every worker needs; owned data only.
pub struct Sending {
    pub client: Client,
    pub key: ApiKey,
    pub purpose: Purpose,
}

pub struct Pipeline<T> {
    jobs: Sender<Job<T>>,
    outcomes: Receiver<Outcome<T>>,
    wake: PipeReader,
    shared: Arc<Shared<T>>,
    threads: usize,
    max_threads: usize,
    in_flight: usize,
}

struct Shared<T> {
    sending: Sending,
    jobs: Mutex<Receiver<Job<T>>>,
    outcomes: Sender<Outcome<T>>,
    wake: PipeWriter,
    abandoned: AtomicBool,
}

impl<T: Send + 'static> Pipeline<T> {
    /// No thread is started before there is a job for it.
    pub fn new(sending: Sending, max_threads: usize) -> io::Result<Pipeline<T>> {
        let (job_sender, job_receiver) = mpsc::channel();
        let (outcome_sender, outcome_receiver) = mpsc::channel();
        let (wake_reader, wake_writer) = io::pipe()?;
        Ok(Pipeline {
            jobs: job_sender,
            outcomes: outcome_receiver,
            wake: wake_reader,
            shared: Arc::new(Shared {
                sending,
                jobs: Mutex::new(job_receiver),
                outcomes: outcome_sender,
                wake: wake_writer,
                abandoned: AtomicBool::new(false),
            }),
            threads: 0,
            max_threads,
            in_flight: 0,
        })
    }

    pub fn submit(&mut self, job: Job<T>) -> io::Result<()> {
        if self.threads < self.max_threads && self.threads <= self.in_flight {
            self.spawn()?;
        }
        // The receiver lives in `shared`, so the channel is open as long as we are.
        if self.jobs.send(job).is_ok() {
            self.in_flight += 1;
        }
        Ok(())
    }

    /// An outcome that has arrived, without waiting.
    pub fn try_next(&mut self) -> Option<Outcome<T>> {
        let outcome = self.outcomes.try_recv().ok()?;
        self.in_flight -= 1;
        Some(outcome)
    }

    /// Jobs submitted whose outcome has not been fetched.
    pub fn in_flight(&self) -> usize {
        self.in_flight
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
        let shared = Arc::clone(&self.shared);
        // A thread inherits the mask: Postgres's signals must only ever reach its own thread.
        let before = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK)?;
        let spawned = thread::Builder::new()
            .name("embedding".into())
            .spawn(move || shared.work());
        before.thread_set_mask()?;
        self.threads += 1;
        spawned.map(drop)
    }
}

impl<T> Drop for Pipeline<T> {
    /// Jobs that wait are not sent any more; those in flight end by themselves.
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::Relaxed);
    }
}

impl<T> Shared<T> {
    fn work(&self) {
        while let Some(job) = self.next_job() {
            if self.abandoned.load(Ordering::Relaxed) {
                return;
            }
            let Sending {
                client,
                key,
                purpose,
            } = &self.sending;
            // The owner counts on one outcome a job, whatever happens here.
            let result = catch_unwind(AssertUnwindSafe(|| client.embed(key, purpose, &job.texts)))
                .unwrap_or_else(|_| {
                    Err(Failure::Malformed {
                        reason: "the request's thread failed".into(),
                    })
                });
            let outcome = Outcome {
                load: job.load,
                result,
            };
            // Both fail only when the owner is gone.
            if self.outcomes.send(outcome).is_err() || (&self.wake).write_all(&[1]).is_err() {
                return;
            }
        }
    }

    fn next_job(&self) -> Option<Job<T>> {
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv()
            .ok()
    }
}
