//! What the threads of a pipeline have done so far.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::tokens::Amount;

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Effort {
    pub requests: u64,
    pub retries: u64,
    pub refused_by_quota: u64,
    pub waited: Duration,
    /// Text of requests of which nobody knows whether they were billed.
    pub maybe_billed: Amount,
}

/// Counts by many threads at once.
#[derive(Default)]
pub struct Meter {
    pub requests: AtomicU64,
    pub retries: AtomicU64,
    pub refused_by_quota: AtomicU64,
    pub slowest_ms: AtomicU64,
    /// Of requests that were given up after they were sent: billed or not, nobody knows.
    maybe_billed_tokens: AtomicU64,
    maybe_billed_characters: AtomicU64,
    /// Requests that brought what they were sent for.
    pub answered: AtomicU64,
}

impl Meter {
    pub fn effort(&self, waited: Duration) -> Effort {
        Effort {
            requests: self.requests.load(Relaxed),
            retries: self.retries.load(Relaxed),
            refused_by_quota: self.refused_by_quota.load(Relaxed),
            waited,
            maybe_billed: Amount {
                tokens: self.maybe_billed_tokens.load(Relaxed),
                characters: self.maybe_billed_characters.load(Relaxed),
            },
        }
    }

    pub fn may_be_billed(&self, amount: Amount) {
        self.maybe_billed_tokens.fetch_add(amount.tokens, Relaxed);
        self.maybe_billed_characters
            .fetch_add(amount.characters, Relaxed);
    }

    /// The longest that an answer took so far.
    pub fn slowest_answer(&self) -> Duration {
        Duration::from_millis(self.slowest_ms.load(Relaxed))
    }

    /// How often the service has been of use so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Relaxed)
    }
}
