//! How far a run is, for those who watch it.

use std::time::{Duration, Instant};

use pgrx::prelude::*;

use super::figures::{dollars, duration, rows};
use super::journal::Counts;
use super::report::say;
use super::target::Target;
use crate::engine::pace::Wait;

/// Between two lines of progress: a tenth of the time so far, within these.
const EVERY: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(60)];

/// With "NOTICE:  " before it, a line fits a psql window of 100 columns.
const MAX_LINE: usize = 91;

/// How far a run is.
pub struct Progress {
    total: u64,
    began: Instant,
    said: Instant,
    said_wait: Option<String>,
}

impl Progress {
    pub fn new(total: u64) -> Progress {
        let now = Instant::now();
        Progress {
            total,
            began: now,
            said: now,
            said_wait: None,
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// At most every few seconds, less often in a long run; a new reason to wait at once.
    pub fn say(&mut self, done: u64, wait: Option<&Wait>) {
        if let Some(Wait { reason, until }) = wait
            && self.said_wait.as_ref() != Some(reason)
        {
            let left = until.saturating_duration_since(Instant::now());
            if left > Duration::from_secs(1) {
                let line = format!("waiting {}: {reason}", duration(left));
                notice(line.chars().take(MAX_LINE).collect());
                self.said_wait = Some(reason.clone());
            }
        }
        let every = (self.began.elapsed() / 10).clamp(EVERY[0], EVERY[1]);
        if self.said.elapsed() < every || done == 0 {
            return;
        }
        self.said = Instant::now();
        let total = self.total.max(done);
        let rate = done as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let left = Duration::from_secs_f64((total - done) as f64 / rate.max(0.001));
        notice(format!(
            "{done}/{total} rows ({:.1}%), {rate:.0} rows/s, ETA {}",
            100.0 * done as f64 / total.max(1) as f64,
            duration(left),
        ));
    }

    pub fn end(&self, target: &Target, counts: &Counts, exact: bool, stopped_because: &str) {
        if counts.embedded == 0 && counts.tokens == 0 {
            if stopped_because != "done" {
                notice(format!(
                    "{}: no row embedded: {stopped_because}",
                    target.label
                ));
            }
            return;
        }
        let about = if exact { "" } else { "at most " };
        let elapsed = self.began.elapsed();
        notice(format!(
            "{}: {} embedded in {} ({:.0} rows/s), {about}{} tokens, {}: {stopped_because}",
            target.label,
            rows(counts.embedded),
            duration(elapsed),
            counts.embedded as f64 / elapsed.as_secs_f64().max(0.001),
            counts.tokens,
            dollars(counts.cost),
        ));
    }
}

fn notice(message: String) {
    say(PgLogLevel::NOTICE, message, None);
}
