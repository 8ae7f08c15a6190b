//! What the stand-in has seen so far. Counts only grow, but for the requests in flight.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections accepted.
    pub connections: u64,
    /// Requests whose head was read, whatever became of them.
    pub requests: u64,
    /// Texts in well-formed requests, answered or not. Such a request has read the configuration before its texts are
    /// counted here, so a later change does not reach it.
    pub texts: u64,
    /// Texts that were answered with a vector, and their tokens: what Google would bill.
    pub texts_billed: u64,
    pub tokens: u64,
    /// Access tokens that were given out.
    pub grants: u64,
    pub answered_429: u64,
    /// Answers with any status from 400 on, those with 429 among them.
    pub answered_error: u64,
    /// Faults that have struck.
    pub faults: u64,
    /// Requests from the end of their head until the last piece of their answer is about to be sent.
    pub in_flight: u64,
    pub max_in_flight: u64,
}

impl Stats {
    /// Counts an answer by its status.
    pub(crate) fn count(&mut self, status: u16) {
        self.answered_429 += u64::from(status == 429);
        self.answered_error += u64::from(status >= 400);
    }
}
