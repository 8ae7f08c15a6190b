//! Requests in flight, seen from the backend: jobs go in, outcomes come out, and a byte in a pipe says
//! that there is one to fetch. The threads behind it are started when there is a job for them and never
//! joined: an abandoned request dies by its own timeout. What they do with a job is the service's.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::sys::signal::{SigSet, SigmaskHow};

/// What threads do with jobs. Never touches Postgres.
pub trait Service: Send + Sync + 'static {
    type Job: Rows + Send + 'static;
    type Outcome: Rows + Send + 'static;

    /// Blocks until the job is done. Each row of it is in one of the outcomes that are delivered; when
    /// `deliver` is false, nobody waits for them any more. `memory` serves one job after the other.
    fn serve(
        &self,
        job: Self::Job,
        memory: &mut Vec<u8>,
        deliver: &mut dyn FnMut(Self::Outcome) -> bool,
    );

    /// From now on nothing new is sent. What is in flight still arrives, and what waits is delivered
    /// unsent.
    fn stop(&self);
}

/// How many rows a job or an outcome is about.
pub trait Rows {
    fn rows(&self) -> usize;
}

/// Wakes the backend's thread when an outcome of any of its pipelines may be there.
pub struct Wake {
    reader: PipeReader,
    writer: PipeWriter,
}

pub struct Pipeline<S: Service> {
    jobs: Sender<S::Job>,
    outcomes: Receiver<S::Outcome>,
    shared: Arc<Shared<S>>,
    max_threads: usize,
    threads: usize,
    rows_in_flight: usize,
}

struct Shared<S: Service> {
    service: S,
    jobs: Mutex<Receiver<S::Job>>,
    outcomes: Sender<S::Outcome>,
    wake: PipeWriter,
}

impl Wake {
    pub fn new() -> io::Result<Wake> {
        let (reader, writer) = io::pipe()?;
        Ok(Wake { reader, writer })
    }

    /// Readable when an outcome may be there; see `quiet`.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// Takes the bytes out of the pipe. Call only when `fd` is readable, or it blocks.
    pub fn quiet(&mut self) -> io::Result<()> {
        self.reader.read(&mut [0; 64]).map(drop)
    }
}

impl<S: Service> Pipeline<S> {
    pub fn new(service: S, max_threads: usize, wake: &Wake) -> io::Result<Pipeline<S>> {
        let (jobs, job_receiver) = mpsc::channel();
        let (outcome_sender, outcomes) = mpsc::channel();
        Ok(Pipeline {
            jobs,
            outcomes,
            shared: Arc::new(Shared {
                service,
                jobs: Mutex::new(job_receiver),
                outcomes: outcome_sender,
                wake: wake.writer.try_clone()?,
            }),
            max_threads,
            threads: 0,
            rows_in_flight: 0,
        })
    }

    pub fn service(&self) -> &S {
        &self.shared.service
    }

    pub fn submit(&mut self, job: S::Job) -> io::Result<()> {
        if self.threads < self.max_threads {
            self.spawn()?;
        }
        let rows = job.rows();
        // The receiver lives in `shared`, so the channel is open as long as we are.
        if self.jobs.send(job).is_ok() {
            self.rows_in_flight += rows;
        }
        Ok(())
    }

    /// An outcome that has arrived, without waiting.
    pub fn try_next(&mut self) -> Option<S::Outcome> {
        let outcome = self.outcomes.try_recv().ok()?;
        self.rows_in_flight -= outcome.rows();
        Some(outcome)
    }

    /// Rows submitted whose outcome has not been fetched.
    pub fn rows_in_flight(&self) -> usize {
        self.rows_in_flight
    }

    /// Sends nothing new; see `Service::stop`.
    pub fn stop(&self) {
        self.shared.service.stop();
    }

    fn spawn(&mut self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        // A thread inherits the mask: Postgres's signals must only ever reach its own thread.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let spawned = thread::Builder::new()
            .name("embedding".into())
            .spawn(move || shared.work());
        before.thread_set_mask()?;
        self.threads += 1;
        spawned.map(drop)
    }
}

impl<S: Service> Shared<S> {
    /// Until the owner is gone.
    fn work(&self) {
        let mut memory = Vec::new();
        let mut owned = true;
        while owned && let Some(job) = self.next_job() {
            self.service.serve(job, &mut memory, &mut |outcome| {
                // Both fail only when the owner is gone.
                owned = self.outcomes.send(outcome).is_ok() && (&self.wake).write_all(&[1]).is_ok();
                owned
            });
        }
    }

    fn next_job(&self) -> Option<S::Job> {
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv()
            .ok()
    }
}

impl<S: Service> Drop for Pipeline<S> {
    /// Jobs that wait are not sent any more; those in flight end by themselves.
    fn drop(&mut self) {
        self.stop();
    }
}
