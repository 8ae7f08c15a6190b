//! What a thread of the pipeline does: pace, send, judge the answer, and try again, halve, reject or
//! stop. Only the share of a request that failed is sent again. Never touches Postgres.

use std::hash::{BuildHasher, RandomState};
use std::io::{PipeWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::batch::Job;
use super::failure::Failure;
use super::http::Client;
use super::key::ApiKey;
use super::pace::Pace;
use super::tokens::{self, Estimate};
use super::verdict::{self, Verdict, backoff, judge};
use crate::gemini::request::Purpose;
use crate::gemini::response::Answer;

/// How long quota refusals of one request are waited out while no other request passes.
const MAX_QUOTA_WAIT: Duration = Duration::from_secs(600);

/// What every worker needs; owned data only.
pub struct Sending {
    pub client: Client,
    pub key: ApiKey,
    pub purpose: Purpose,
    /// Sends of one request before it is given up.
    pub max_attempts: u32,
    pub texts_per_minute: u64,
    pub tokens_per_minute: u64,
    /// Nothing is sent that could not be back by then, as slow as the slowest answer so far.
    pub deadline: Option<Instant>,
    /// What may have been billed is not sent again before the owner has looked at its limits.
    pub pays_once: bool,
}

pub struct Outcome<T> {
    /// In the order of the vectors.
    pub rows: Vec<T>,
    pub result: Result<Answer, NotEmbedded>,
}

#[derive(Debug)]
pub enum NotEmbedded {
    /// The API refuses this one text.
    Rejected(Failure),
    /// The run can't go on.
    Stopped(Failure),
    /// Sent, and perhaps billed, but no answer came.
    Lost(Failure),
    /// Not sent, since the run has stopped.
    Unsent,
}

pub struct Worker<T> {
    sending: Sending,
    jobs: Mutex<Receiver<Job<T>>>,
    outcomes: Sender<Outcome<T>>,
    wake: PipeWriter,
    pub pace: Pace,
    pub estimate: Estimate,
    pub requests: AtomicU64,
    pub retries: AtomicU64,
    pub refused_by_quota: AtomicU64,
    pub slowest_ms: AtomicU64,
    /// Tokens of requests that were given up after they were sent: billed or not, nobody knows.
    pub maybe_billed: AtomicU64,
    /// Requests that brought vectors.
    answered: AtomicU64,
}

impl<T> Worker<T> {
    pub fn new(
        sending: Sending,
        jobs: Receiver<Job<T>>,
        outcomes: Sender<Outcome<T>>,
        wake: PipeWriter,
    ) -> Worker<T> {
        Worker {
            pace: Pace::new(sending.texts_per_minute, sending.tokens_per_minute),
            estimate: Estimate::new(sending.purpose),
            sending,
            jobs: Mutex::new(jobs),
            outcomes,
            wake,
            requests: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            refused_by_quota: AtomicU64::new(0),
            slowest_ms: AtomicU64::new(0),
            maybe_billed: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        }
    }

    /// Until the owner is gone.
    pub fn run(&self) {
        let mut memory = Vec::new();
        while let Some(job) = self.next_job() {
            if !self.deliver(job, &mut memory) {
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

    /// One outcome for each part that the job falls into; false when the owner is gone.
    fn deliver(&self, job: Job<T>, memory: &mut Vec<u8>) -> bool {
        let answered_before = self.answered.load(Relaxed);
        let mut parts = vec![job];
        while let Some(part) = parts.pop() {
            let result = match self.answer(&part.texts, answered_before, memory) {
                Ok(answer) => Ok(answer),
                Err(GivenUp::Unsent) => Err(NotEmbedded::Unsent),
                Err(GivenUp::Split) => {
                    let (first, second) = part.halves();
                    parts.extend([second, first]);
                    continue;
                }
                Err(GivenUp::Lost(failure)) => Err(NotEmbedded::Lost(failure)),
                Err(GivenUp::Reject(failure)) => Err(NotEmbedded::Rejected(failure)),
                Err(GivenUp::Stop(failure)) => {
                    self.pace.stop();
                    Err(NotEmbedded::Stopped(failure))
                }
            };
            let outcome = Outcome {
                rows: part.rows,
                result,
            };
            // Both fail only when the owner is gone.
            if self.outcomes.send(outcome).is_err() || (&self.wake).write_all(&[1]).is_err() {
                return false;
            }
        }
        true
    }

    /// `answered_before` is what had been answered when the job that `texts` are of began.
    fn answer(
        &self,
        texts: &[String],
        answered_before: u64,
        memory: &mut Vec<u8>,
    ) -> Result<Answer, GivenUp> {
        let counted = self.estimate.count(texts);
        let mut attempt = 1;
        let mut quota_wait_began: Option<(Instant, u64)> = None;
        loop {
            if !self
                .pace
                .acquire(texts.len(), self.estimate.tokens(counted))
            {
                return Err(GivenUp::Unsent);
            }
            if self.out_of_time() {
                return Err(GivenUp::Unsent);
            }
            let failure = match self.send(texts, memory) {
                Ok(answer) => {
                    if let Some(tokens) = answer.tokens {
                        self.estimate.correct(counted, tokens);
                    }
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            match judge(&failure, texts.len()) {
                Verdict::Split => return Err(GivenUp::Split),
                Verdict::Reject if self.others_pass(memory) => {
                    return Err(GivenUp::Reject(failure));
                }
                Verdict::Reject => return Err(GivenUp::Stop(failure)),
                Verdict::Stop => return Err(GivenUp::Stop(failure)),
                Verdict::Wait(quota) => {
                    self.refused_by_quota.fetch_add(1, Relaxed);
                    let answered = self.answered.load(Relaxed);
                    let (began, _) = quota_wait_began
                        .filter(|(_, before)| *before == answered)
                        .unwrap_or_else(|| (Instant::now(), answered));
                    quota_wait_began = Some((began, answered));
                    if began.elapsed() > MAX_QUOTA_WAIT {
                        return Err(GivenUp::Stop(failure));
                    }
                    self.pace.learn(&quota);
                    // As a whole it would not even pass an unused quota.
                    if quota.is_below(texts.len(), self.estimate.tokens(counted)) {
                        return Err(GivenUp::Split);
                    }
                }
                Verdict::Retry if self.sending.pays_once && failure.may_be_billed() => {
                    return Err(GivenUp::Lost(failure));
                }
                Verdict::Retry if attempt < self.sending.max_attempts => {
                    attempt += 1;
                    self.retries.fetch_add(1, Relaxed);
                    let pause = backoff(attempt, random());
                    if !self.pace.back_off(&failure.to_string(), pause) {
                        return Err(GivenUp::Unsent);
                    }
                }
                Verdict::Retry if verdict::may_be_one_text(&failure) && texts.len() > 1 => {
                    return Err(GivenUp::Split);
                }
                // Others pass meanwhile, so it is the text and not the service.
                Verdict::Retry
                    if verdict::may_be_one_text(&failure)
                        && self.answered.load(Relaxed) > answered_before =>
                {
                    return Err(GivenUp::Reject(failure));
                }
                Verdict::Retry => return Err(GivenUp::Stop(failure)),
            }
        }
    }

    fn out_of_time(&self) -> bool {
        let answer = Duration::from_millis(self.slowest_ms.load(Relaxed));
        self.sending
            .deadline
            .is_some_and(|deadline| Instant::now() + answer >= deadline)
    }

    /// Whether the API takes requests of this form at all; asked with a harmless text where no answer
    /// has shown it. A refusal of everything is no row's fault.
    fn others_pass(&self, memory: &mut Vec<u8>) -> bool {
        if self.answered.load(Relaxed) > 0 {
            return true;
        }
        let harmless = ["hello".to_owned()];
        // It is no row's, so no limit has set it aside.
        let most = tokens::at_most(&self.sending.purpose, &harmless[0]);
        self.maybe_billed.fetch_add(most, Relaxed);
        self.pace.acquire(1, most) && self.send(&harmless, memory).is_ok()
    }

    fn send(&self, texts: &[String], memory: &mut Vec<u8>) -> Result<Answer, Failure> {
        let Sending {
            client,
            key,
            purpose,
            ..
        } = &self.sending;
        self.requests.fetch_add(1, Relaxed);
        let began = Instant::now();
        // The owner counts on an outcome for every row, whatever happens here.
        let result = catch_unwind(AssertUnwindSafe(|| {
            client.embed(key, purpose, texts, memory)
        }))
        .unwrap_or_else(|_| {
            Err(Failure::Malformed {
                reason: "the request's thread failed".into(),
            })
        });
        if let Err(failure) = &result
            && failure.may_be_billed()
        {
            let tokens = texts
                .iter()
                .map(|text| tokens::at_most(purpose, text))
                .sum();
            self.maybe_billed.fetch_add(tokens, Relaxed);
        }
        if result.is_ok() {
            self.answered.fetch_add(1, Relaxed);
            self.slowest_ms
                .fetch_max(began.elapsed().as_millis() as u64, Relaxed);
        }
        result
    }
}

enum GivenUp {
    Split,
    Lost(Failure),
    Reject(Failure),
    Stop(Failure),
    Unsent,
}

/// From 0 to 1, for jitter; the standard library seeds each `RandomState` anew.
fn random() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}
