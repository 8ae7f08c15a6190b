//! Vectors whose row is in somebody else's hands. They are paid for, so their rows are tried again for a
//! while before they are thrown away.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::error::Error;
use super::store::{self, Made, Written};
use super::target::Target;
use crate::engine::pace::Wait;

/// How long a locked row is waited for.
const MAX_HOLD: Duration = Duration::from_secs(10);

/// Between two looks at rows that are locked.
pub const LOOK_EVERY: Duration = Duration::from_millis(250);

struct Held {
    made: Made,
    since: Instant,
    is_mirrored: bool,
}

#[derive(Default)]
pub struct Locked {
    held: Vec<Held>,
    /// Places given up: the run does not pay for them again.
    given_up: HashSet<(usize, u64)>,
}

impl Locked {
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// How many vectors wait for their row.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    pub fn given_up(&self) -> &HashSet<(usize, u64)> {
        &self.given_up
    }

    /// `is_mirrored` is whether a collection has them.
    pub fn hold(&mut self, rows: Vec<Made>, is_mirrored: bool) {
        let since = Instant::now();
        self.held.extend(rows.into_iter().map(|made| Held {
            made,
            since,
            is_mirrored,
        }));
    }

    /// Places are by leaf, so they mean nothing when the leaves are others.
    pub fn forget_given_up(&mut self) {
        self.given_up.clear();
    }

    /// For how long the run may still be held up.
    pub fn wait(&self) -> Option<Wait> {
        let newest = self.held.iter().map(|held| held.since).max()?;
        Some(Wait {
            reason: "rows are locked by other sessions".into(),
            until: newest + MAX_HOLD,
        })
    }

    /// Tries those again that a collection has, or has not; those that stay locked are held on to, or given up.
    pub fn retry(&mut self, target: &Target, is_mirrored: bool) -> Result<Written, Error> {
        let due = |held: &mut Held| held.is_mirrored == is_mirrored;
        let (rows, since): (Vec<Made>, Vec<_>) = self
            .held
            .extract_if(.., due)
            .map(|Held { made, since, .. }| {
                let place = made.0.key();
                (made, (place, since))
            })
            .unzip();
        if rows.is_empty() {
            return Ok(Written::default());
        }
        let mut written = store::write_unchanged(target, rows)?;
        for made in written.locked.drain(..) {
            let key = made.0.key();
            match since.iter().find(|(place, _)| *place == key) {
                Some(&(_, since)) if since.elapsed() < MAX_HOLD => self.held.push(Held {
                    made,
                    since,
                    is_mirrored,
                }),
                _ => {
                    self.given_up.insert(key);
                }
            }
        }
        Ok(written)
    }
}
