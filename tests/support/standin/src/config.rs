//! What the stand-in is told to do. Every field may be changed while it runs; a request sees one consistent snapshot.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::accounts::Accounts;
use crate::fault::Fault;
use crate::reply::Reply;
use crate::request::Request;
use crate::semantics::Semantics;
use crate::tls::Identity;

/// Decides on each request whether it gets a reply of its own; `None` serves it in the ordinary way.
pub type Script = Arc<dyn Fn(&Request) -> Option<Reply> + Send + Sync>;

#[derive(Clone)]
pub struct Config {
    /// The only key that the Gemini API accepts.
    pub key: String,
    /// The only project that the accounts may use Vertex AI in.
    pub project: String,
    /// Where Vertex AI serves its models.
    pub locations: Vec<String>,
    /// Whose access tokens are accepted.
    pub accounts: Accounts,
    /// How long an access token is good for; in whole seconds to those who get it.
    pub token_lifetime: Duration,
    /// The accounts get no more access tokens; those that they have stay good.
    pub revoked: bool,
    /// How many seconds Google's clock is ahead of this machine's.
    pub clock_ahead: i64,
    /// Time between reading a valid request and the first byte of its answer.
    pub latency: Duration,
    /// `None` is unlimited, `Some(0)` is Google's "limit: 0". Each text counts, not each request.
    pub texts_per_minute: Option<u64>,
    pub tokens_per_minute: Option<u64>,
    pub texts_per_day: Option<u64>,
    /// How long the "minute" and the "day" of the quotas last; a recorded 429 asks to wait for less in a shorter minute.
    pub minute: Duration,
    pub day: Duration,
    /// A request with a text that contains this marker is refused as a whole, as Google refuses a text it can't embed.
    pub poison: Option<String>,
    /// 128 at Google; benchmarks may want smaller vectors.
    pub min_dimensions: usize,
    /// Compress answers for clients that ask for it.
    pub gzip: bool,
    /// Keep every request for `Standin::requests`.
    pub record: bool,
    pub semantics: Semantics,
    /// Shown to new connections; without it they are served in clear text.
    pub tls: Option<Identity>,
    /// Where redirects lead.
    pub elsewhere: String,
    /// Replies for the next requests, one each, whatever these ask for.
    pub replies: VecDeque<Reply>,
    /// Each `n`th request, where `replies` is empty, has the fault with this `n`; the first of several that are due.
    pub faults: Vec<(Fault, u64)>,
    /// Asked when neither has anything for a request.
    pub script: Option<Script>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            // The form of the keys that Google gives out since 2026.
            key: "AQ.stand-in".into(),
            project: "stand-in".into(),
            locations: vec!["global".into(), "us-central1".into()],
            accounts: Accounts::default(),
            token_lifetime: Duration::from_secs(3599),
            revoked: false,
            clock_ahead: 0,
            latency: Duration::ZERO,
            texts_per_minute: None,
            tokens_per_minute: None,
            texts_per_day: None,
            minute: Duration::from_secs(60),
            day: Duration::from_secs(24 * 60 * 60),
            poison: None,
            min_dimensions: 128,
            gzip: true,
            record: false,
            semantics: Semantics::Hash,
            tls: None,
            elsewhere: "http://elsewhere.invalid/v1beta".into(),
            replies: VecDeque::new(),
            faults: Vec::new(),
            script: None,
        }
    }
}

impl Config {
    /// What Google's clock shows.
    pub(crate) fn now(&self) -> SystemTime {
        let ahead = Duration::from_secs(self.clock_ahead.unsigned_abs());
        match self.clock_ahead {
            0.. => SystemTime::now() + ahead,
            _ => SystemTime::now() - ahead,
        }
    }

    /// Answers each request for which `script` gives a reply with that reply.
    pub fn script(
        mut self,
        script: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        self.script = Some(Arc::new(script));
        self
    }
}
