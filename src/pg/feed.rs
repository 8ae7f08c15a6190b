//! What goes out next: rows of the pass, as far as the limits allow.

use std::collections::VecDeque;

use super::error::Error;
use super::freight::Freight;
use super::limits::{Limits, Reached};
use super::pass::Pass;
use super::store::Place;
use super::target::Target;
use crate::engine::tokens;
use crate::gemini::request::Purpose;

pub struct Feed {
    pub pass: Pass,
    pub limits: Limits,
    /// Read, and not sent since a limit stands against the first of them.
    unsent: VecDeque<(Place, String)>,
}

impl Feed {
    pub fn new(limits: Limits) -> Feed {
        Feed {
            pass: Pass::default(),
            limits,
            unsent: VecDeque::new(),
        }
    }

    /// Up to `free` rows, set aside from the limits; none when the pass is over, or when what is in
    /// flight has to come back first: it may turn out smaller than what was set aside for it.
    pub fn next(
        &mut self,
        target: &Target,
        purpose: &Purpose,
        free: usize,
        in_flight: usize,
        hopeless: impl Fn((usize, u64)) -> bool,
    ) -> Result<Result<Vec<(Freight, String)>, Reached>, Error> {
        if free == 0 {
            return Ok(Ok(Vec::new()));
        }
        let left = usize::try_from(self.limits.rows_left()).unwrap_or(usize::MAX);
        let wanted = free.min(left).max(1);
        // On into the next leaf, so that a small one does not make a small request.
        while self.unsent.len() < wanted {
            let missing = wanted - self.unsent.len();
            let rows = self.pass.next_rows(target, missing, &hopeless)?;
            if rows.is_empty() {
                break;
            }
            self.unsent.extend(rows);
        }
        let mut rows = Vec::new();
        while let Some((_, text)) = self.unsent.front() {
            let amount = tokens::at_most(purpose, text);
            match self.limits.reserve(1, amount) {
                Ok(()) => rows.extend(
                    self.unsent
                        .pop_front()
                        .map(|(place, text)| (Freight::Row { place, amount }, text)),
                ),
                Err(_) if in_flight > 0 || !rows.is_empty() => break,
                Err(reached) => return Ok(Err(reached)),
            }
        }
        Ok(Ok(rows))
    }
}
