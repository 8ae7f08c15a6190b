//! The service that turns texts into vectors: pace, send, judge the answer, and try again, halve, reject or
//! stop. Only the share of a request that failed is sent again.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::batch::Job;
use super::credentials::Credentials;
use super::effort::{Effort, Meter};
use super::embedding;
use super::failure::Failure;
use super::http::Client;
use super::outcome::{NotEmbedded, Outcome};
use super::pace::{Pace, Wait};
use super::pipeline::Service;
use super::tokens::{self, Estimate};
use super::verdict::{self, Verdict, judge};
use crate::gemini::provider::Provider;
use crate::gemini::request::Purpose;
use crate::gemini::response::Answer;

/// How long quota refusals of one request are waited out while no other request passes.
const MAX_QUOTA_WAIT: Duration = Duration::from_secs(600);

/// What every worker needs; owned data only.
pub struct Sending {
    pub client: Client,
    pub credentials: Credentials,
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

pub struct Embedder<T> {
    sending: Sending,
    pace: Pace,
    estimate: Estimate,
    meter: Meter,
    rows: PhantomData<fn(T)>,
}

impl<T: Send + 'static> Service for Embedder<T> {
    type Job = Job<T>;
    type Outcome = Outcome<T>;

    fn serve(
        &self,
        job: Job<T>,
        memory: &mut Vec<u8>,
        deliver: &mut dyn FnMut(Outcome<T>) -> bool,
    ) {
        let answered_before = self.meter.answered();
        let mut parts = vec![job];
        while let Some(part) = parts.pop() {
            // The owner counts on an outcome for every row, whatever happens here.
            let answer = catch_unwind(AssertUnwindSafe(|| {
                self.answer(&part.texts, answered_before, memory)
            }));
            let result = match answer.unwrap_or_else(|_| Err(GivenUp::Stop(broken()))) {
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
            if !deliver(outcome) {
                return;
            }
        }
    }

    fn stop(&self) {
        self.pace.stop();
    }
}

impl<T> Embedder<T> {
    pub fn new(sending: Sending) -> Embedder<T> {
        Embedder {
            pace: Pace::new(sending.texts_per_minute, sending.tokens_per_minute),
            estimate: Estimate::new(sending.purpose),
            sending,
            meter: Meter::default(),
            rows: PhantomData,
        }
    }

    pub fn effort(&self) -> Effort {
        self.meter.effort(self.pace.waited())
    }

    /// Why nothing goes out at the moment, if so.
    pub fn wait(&self) -> Option<Wait> {
        self.pace.wait()
    }

    /// Texts a minute, where a limit is set or was taught by a 429.
    pub fn texts_per_minute(&self) -> Option<f64> {
        self.pace.texts_per_minute()
    }

    /// The longest that an answer took so far.
    pub fn slowest_answer(&self) -> Duration {
        self.meter.slowest_answer()
    }

    /// `answered_before` is what had been answered when the job that `texts` are of began.
    fn answer(
        &self,
        texts: &[String],
        answered_before: u64,
        memory: &mut Vec<u8>,
    ) -> Result<Answer, GivenUp> {
        let purpose = &self.sending.purpose;
        let counted = self.estimate.count(texts);
        if texts.len() > 1 && self.estimate.is_too_much(counted) {
            return Err(GivenUp::Split);
        }
        let mut attempt = 1;
        let mut quota_wait_began: Option<(Instant, u64)> = None;
        let mut refusals = 0;
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
                Verdict::Wait(mut quota) => {
                    self.meter.refused_by_quota.fetch_add(1, Relaxed);
                    let answered = self.meter.answered();
                    let (began, _) = quota_wait_began
                        .filter(|(_, before)| *before == answered)
                        .unwrap_or_else(|| (Instant::now(), answered));
                    quota_wait_began = Some((began, answered));
                    let pause = quota.retry_after.unwrap_or_default();
                    if began.elapsed().saturating_add(pause) > MAX_QUOTA_WAIT {
                        return Err(GivenUp::Stop(failure));
                    }
                    // It never says how long, and asks for a second at least.
                    if quota.retry_after.is_none() && purpose.model.provider == Provider::Vertex {
                        refusals += 1;
                        quota.retry_after = Some(verdict::pause(refusals + 2));
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
                    self.meter.retries.fetch_add(1, Relaxed);
                    let pause = verdict::pause(attempt);
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
                        && self.meter.answered() > answered_before =>
                {
                    return Err(GivenUp::Reject(failure));
                }
                Verdict::Retry => return Err(GivenUp::Stop(failure)),
            }
        }
    }

    fn out_of_time(&self) -> bool {
        let answer = self.slowest_answer();
        self.sending
            .deadline
            .is_some_and(|deadline| Instant::now() + answer >= deadline)
    }

    /// Whether the API takes requests of this form at all; asked with a harmless text where no answer
    /// has shown it. A refusal of everything is no row's fault.
    fn others_pass(&self, memory: &mut Vec<u8>) -> bool {
        if self.meter.answered() > 0 {
            return true;
        }
        let harmless = ["hello".to_owned()];
        // It is no row's, so no limit has set it aside.
        let most = tokens::at_most(&self.sending.purpose, &harmless[0]);
        self.meter.may_be_billed(most);
        self.pace.acquire(1, most.tokens) && self.send(&harmless, memory).is_ok()
    }

    fn send(&self, texts: &[String], memory: &mut Vec<u8>) -> Result<Answer, Failure> {
        let Sending {
            client,
            credentials,
            purpose,
            ..
        } = &self.sending;
        self.meter.requests.fetch_add(1, Relaxed);
        let began = Instant::now();
        // What one answer breaks, another attempt may mend.
        let result = catch_unwind(AssertUnwindSafe(|| {
            embedding::embed(client, credentials, purpose, texts, memory)
        }))
        .unwrap_or_else(|_| Err(broken()));
        if let Err(failure) = &result
            && failure.may_be_billed()
        {
            let amounts = texts.iter().map(|text| tokens::at_most(purpose, text));
            self.meter.may_be_billed(amounts.sum());
        }
        if result.is_ok() {
            self.meter.answered.fetch_add(1, Relaxed);
            self.meter
                .slowest_ms
                .fetch_max(began.elapsed().as_millis() as u64, Relaxed);
        }
        result
    }
}

fn broken() -> Failure {
    Failure::Malformed {
        reason: "the request's thread failed".into(),
    }
}

enum GivenUp {
    Split,
    Lost(Failure),
    Reject(Failure),
    Stop(Failure),
    Unsent,
}
