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

#[derive(Default)]
pub struct Locked {
    held: Vec<(Made, Instant)>,
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

    pub fn hold(&mut self, rows: Vec<Made>) {
        let now = Instant::now();
        self.held.extend(rows.into_iter().map(|made| (made, now)));
    }

    /// Places are by leaf, so they mean nothing when the leaves are others.
    pub fn forget_given_up(&mut self) {
        self.given_up.clear();
    }

    /// For how long the run may still be held up.
    pub fn wait(&self) -> Option<Wait> {
        let newest = self.held.iter().map(|(_, since)| *since).max()?;
        Some(Wait {
            reason: "rows are locked by other sessions".into(),
            until: newest + MAX_HOLD,
        })
    }

    /// Tries them all again; those that stay locked are held on to, or given up.
    pub fn retry(&mut self, target: &Target) -> Result<Written, Error> {
        if self.held.is_empty() {
            return Ok(Written::default());
        }
        let (rows, since): (Vec<Made>, Vec<Instant>) = self.held.drain(..).unzip();
        let since: Vec<_> = rows
            .iter()
            .map(|(place, _)| place.key())
            .zip(since)
            .collect();
        let mut written = store::write_unchanged(target, rows)?;
        for made in written.locked.drain(..) {
            let key = made.0.key();
            let began = since.iter().find(|(place, _)| *place == key);
            match began {
                Some((_, began)) if began.elapsed() < MAX_HOLD => self.held.push((made, *began)),
                _ => {
                    self.given_up.insert(key);
                }
            }
        }
        Ok(written)
    }
}
