//! What goes out next: rows of the pass, as far as the limits allow.

use std::collections::VecDeque;

use super::error::Error;
use super::freight::Freight;
use super::limits::{Limits, Reached};
use super::pass::{Next, Pass, Wanted};
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

    /// Rows, set aside from the limits; none when what is in flight has to come back first: it may turn out smaller than
    /// what was set aside for it.
    pub fn next(
        &mut self,
        target: &Target,
        purpose: &Purpose,
        room: Wanted<'_>,
        in_flight: usize,
    ) -> Result<Fed, Error> {
        if room.rows == 0 || room.bytes == 0 {
            return Ok(Fed::Rows(Vec::new()));
        }
        let left = usize::try_from(self.limits.rows_left()).unwrap_or(usize::MAX);
        let rows = room.rows.min(left).max(1);
        let mut bytes: usize = self.unsent.iter().map(|(_, text)| text.len()).sum();
        let mut end = None;
        // On into the next leaf, so that a small one does not make a small request.
        while self.unsent.len() < rows && bytes < room.bytes && end.is_none() {
            let missing = Wanted {
                rows: rows - self.unsent.len(),
                bytes: room.bytes - bytes,
                ..room
            };
            match self.pass.next(target, &missing)? {
                Next::Rows(rows) => {
                    bytes += rows.iter().map(|(_, text)| text.len()).sum::<usize>();
                    self.unsent.extend(rows);
                }
                Next::Later => end = Some(Fed::Later),
                Next::Over => end = Some(Fed::Over),
            }
        }
        let mut rows = Vec::new();
        while let Some((_, text)) = self.unsent.front() {
            let (amount, bytes) = (tokens::at_most(purpose, text), text.len());
            match self.limits.reserve(1, amount) {
                Ok(()) => rows.extend(self.unsent.pop_front().map(|(place, text)| {
                    let row = Freight::Row {
                        place,
                        amount,
                        bytes,
                    };
                    (row, text)
                })),
                Err(_) if in_flight > 0 || !rows.is_empty() => break,
                Err(reached) => return Ok(Fed::Reached(reached)),
            }
        }
        Ok(match end {
            Some(end) if rows.is_empty() && self.unsent.is_empty() => end,
            _ => Fed::Rows(rows),
        })
    }
}

pub enum Fed {
    Rows(Vec<(Freight, String)>),
    /// The pass is to look for rows first.
    Later,
    /// The pass is over.
    Over,
    Reached(Reached),
}
