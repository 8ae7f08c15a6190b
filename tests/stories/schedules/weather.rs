//! The API of one schedule: faults that depend on the text and on how often it has failed, so that no request fails more often
//! than it is tried; a silence that lasts; and counts of what Google would have billed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
};

use google_standin::{ApiError, Reply, Request};
use serde_json::{Value, json};
use support::prompt;

use super::plan::Plan;
use crate::moments::Dice;

/// A text with this is refused, alone and with all that it was sent with.
pub const POISON: &str = "poison";

/// What one request may get, to be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Quota(&'static str),
    Unavailable(&'static str),
    BadGateway,
    Timeout,
    Hang,
    Close,
    BrokenOff,
    NotJson,
    NoVectors,
    TooFew,
    WrongDimensions,
    NoNumbers,
    Zero,
}

impl Fault {
    pub const ALL: [Fault; 17] = [
        Fault::Quota("429_free_tier_input_tokens_per_minute"),
        Fault::Quota("429_free_tier_per_minute_embedding-001"),
        Fault::Quota("429_paid_tier_tokens_per_minute_generateContent"),
        Fault::Unavailable("500_internal"),
        Fault::Unavailable("503_overloaded"),
        Fault::Unavailable("503_service_unavailable"),
        Fault::BadGateway,
        Fault::Timeout,
        Fault::Hang,
        Fault::Close,
        Fault::BrokenOff,
        Fault::NotJson,
        Fault::NoVectors,
        Fault::TooFew,
        Fault::WrongDimensions,
        Fault::NoNumbers,
        Fault::Zero,
    ];

    /// Google may bill what it has embedded, whatever becomes of the answer.
    fn is_billed(self) -> bool {
        !matches!(
            self,
            Fault::Quota(_) | Fault::Unavailable(_) | Fault::BadGateway | Fault::Timeout
        )
    }

    fn reply(self, texts: &[String]) -> Reply {
        match self {
            Fault::Quota(name) => in_a_second(name),
            Fault::Unavailable(name) => Reply::recorded(name),
            Fault::BadGateway => Reply::html(502, "<html>Bad Gateway"),
            Fault::Timeout => Reply::json(504, "{\"error\": {\"code\": 504}}"),
            Fault::Hang => Reply::Hang,
            Fault::Close => Reply::Close,
            Fault::BrokenOff => {
                Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{".to_vec())
            }
            Fault::NotJson => Reply::html(200, "<html>Welcome"),
            Fault::NoVectors => Reply::json(200, "{}"),
            Fault::TooFew => vectors(&texts[1..], 128, |vector| json!(vector)),
            Fault::WrongDimensions => vectors(texts, 256, |vector| json!(vector)),
            Fault::NoNumbers => {
                vectors(texts, 128, |vector| json!(vec![Value::Null; vector.len()]))
            }
            Fault::Zero => vectors(texts, 128, |vector| json!(vec![0.0; vector.len()])),
        }
    }
}

/// The right vectors of these texts, but for what `spoil` makes of each.
fn vectors(texts: &[String], dimensions: usize, spoil: impl Fn(Vec<f32>) -> Value) -> Reply {
    let embedding = |text: &String| {
        let vector = google_standin::vector(text, "gemini-embedding-2", dimensions);
        json!({ "values": spoil(vector) })
    };
    let embeddings: Vec<Value> = texts.iter().map(embedding).collect();
    Reply::json(200, json!({ "embeddings": embeddings }).to_string())
}

/// A recorded 429 with its numbers changed, so that it is over soon and its limit no brake.
fn in_a_second(name: &str) -> Reply {
    let mut body: Value =
        serde_json::from_str(&ApiError::recorded(name).json()).expect("a body is JSON");
    for detail in body["error"]["details"].as_array_mut().expect("a list") {
        if let Some(delay) = detail.get_mut("retryDelay") {
            *delay = json!("0s");
        }
        let violations = detail.get_mut("violations").and_then(Value::as_array_mut);
        for violation in violations.into_iter().flatten() {
            violation["quotaValue"] = json!("10000000");
        }
    }
    let message = body["error"]["message"].as_str().expect("a text");
    body["error"]["message"] = json!(message.replace("limit: ", "limit: 10000"));
    Reply::json(429, body.to_string())
}

/// What every request gets from some moment on: the CALL waits for an answer, for another attempt, or for a quota that comes
/// back in 20 seconds at the earliest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Silence {
    Hang,
    Recorded(&'static str),
}

impl Silence {
    pub const OVERLOADED: Silence = Silence::Recorded("503_overloaded");

    pub const ALL: [Silence; 8] = [
        Silence::Hang,
        Silence::Hang,
        Silence::OVERLOADED,
        Silence::Recorded("429_free_tier_input_tokens_per_minute"),
        Silence::Recorded("429_free_tier_per_minute_embedding-001"),
        Silence::Recorded("429_paid_tier_tokens_per_minute_generateContent"),
        Silence::Recorded("429_read_requests_per_region"),
        Silence::Recorded("429_vertex_resource_exhausted"),
    ];

    pub fn name(self) -> String {
        format!("{self:?} for good")
    }
}

/// Each makes a schedule longer by the back-off that follows it.
const MOST_FAULTS: usize = 6;

pub struct Weather {
    seed: u64,
    faults: Vec<Fault>,
    /// One less than a request is tried.
    most_failures: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    faults: usize,
    /// By the first text of a request.
    failures: HashMap<String, u32>,
    seen: Seen,
    /// Answers that are still given before the silence.
    answers_left: Option<u64>,
    silence: Option<Silence>,
    silent: u64,
}

/// What came up, by name, and what it cost.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub times: BTreeMap<String, u64>,
    /// Texts that were answered with their vectors.
    pub answered: u64,
    /// Answers to a run that asks whether it is the text that is refused, or all texts.
    pub hellos: u64,
    /// Texts of which Google may have billed the answer that did not arrive.
    pub unanswered: u64,
}

impl Seen {
    pub fn count(&mut self, what: impl Into<String>) {
        *self.times.entry(what.into()).or_default() += 1;
    }
}

impl Weather {
    pub fn new(plan: &Plan) -> Weather {
        Weather {
            seed: plan.seed,
            faults: plan.faults.clone(),
            most_failures: plan.max_attempts - 1,
            state: Mutex::default(),
        }
    }

    /// What becomes of a request; nothing where it is served.
    pub fn reply(&self, request: &Request) -> Option<Reply> {
        let texts = request.texts();
        let mut state = self.state();
        if texts.iter().any(|text| text.contains(POISON)) && state.silence().is_none() {
            state.seen.count(POISON);
            return None;
        }
        if texts == [prompt("hello")] {
            state.seen.hellos += 1;
            return None;
        }
        let count = texts.len() as u64;
        if let Some(silence) = state.silence() {
            state.silent += 1;
            state.seen.count(silence.name());
            return Some(match silence {
                Silence::Hang => {
                    state.seen.unanswered += count;
                    Reply::Hang
                }
                Silence::Recorded(name) => Reply::recorded(name),
            });
        }
        if let Some(fault) = self.fault(&mut state, &texts[0]) {
            state.seen.count(format!("{fault:?}"));
            if fault.is_billed() {
                state.seen.unanswered += count;
            }
            return Some(fault.reply(&texts));
        }
        if let Some(left) = &mut state.answers_left {
            *left -= 1;
        }
        state.seen.answered += count;
        None
    }

    fn fault(&self, state: &mut State, first: &str) -> Option<Fault> {
        if state.faults == MOST_FAULTS {
            return None;
        }
        let failures = state.failures.entry(first.to_owned()).or_default();
        let mut dice = Dice::new(self.seed ^ (hash(first) + u64::from(*failures)));
        if *failures >= self.most_failures || !dice.roll().is_multiple_of(5) {
            return None;
        }
        *failures += 1;
        state.faults += 1;
        Some(self.faults[state.faults % self.faults.len()])
    }

    /// Falls silent after so many answers, or not at all.
    pub fn will_fall_silent(&self, answers: Option<u64>, silence: Silence) {
        let mut state = self.state();
        state.answers_left = answers;
        state.silence = Some(silence);
        state.silent = 0;
    }

    pub fn clears_up(&self) {
        self.state().answers_left = None;
    }

    /// Something else came up.
    pub fn count(&self, what: &str) {
        self.state().seen.count(what);
    }

    /// Requests since it fell silent.
    pub fn silent(&self) -> u64 {
        self.state().silent
    }

    pub fn seen(&self) -> Seen {
        self.state().seen.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no reply panics")
    }
}

impl State {
    fn silence(&self) -> Option<Silence> {
        self.silence.filter(|_| self.answers_left == Some(0))
    }
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }) >> 1
}
