//! One look at every leaf of the target: where its pending rows are, and their content a few requests
//! at a time. Rows that change or move meanwhile are the next pass's.

use std::ops::Range;

use pgrx::pg_sys::ItemPointerData;

use super::candidates;
use super::error::Error;
use super::store::{self, Place};
use super::target::Target;

/// Rows read at a time; for many more Postgres would rather look through the whole table.
const READ_AT_ONCE: usize = 200;

/// Passes in a row that embed nothing before a run gives up on rows that never hold still, such as
/// those whose content is another one at each look.
const MAX_FRUITLESS: u32 = 3;

#[derive(Default)]
pub struct Pass {
    next_leaf: usize,
    windows: std::vec::IntoIter<Option<Range<u32>>>,
    ctids: std::vec::IntoIter<ItemPointerData>,
    /// The leaf of `windows` and `ctids`.
    leaf: usize,
    found: u64,
    /// Found and left alone, since the run knows that they can't be written.
    passed_over: u64,
    pub embedded: u64,
    /// Requests that were sent and never answered.
    pub lost: u64,
    fruitless: u32,
}

/// What a whole pass tells.
pub struct Told {
    /// Pending rows that it found and the run did not embed.
    pub left: u64,
    /// Another pass may do more.
    pub again: bool,
}

impl Pass {
    /// Up to `limit` pending rows with their content; none when the pass is over. Rows for which
    /// `hopeless` holds are passed over.
    pub fn next_rows(
        &mut self,
        target: &Target,
        limit: usize,
        hopeless: impl Fn((usize, u64)) -> bool,
    ) -> Result<Vec<(Place, String)>, Error> {
        loop {
            let ctids: Vec<_> = self.ctids.by_ref().take(limit.min(READ_AT_ONCE)).collect();
            if !ctids.is_empty() {
                let rows = candidates::read(target, self.leaf, ctids)?;
                if !rows.is_empty() {
                    return Ok(rows);
                }
            } else if let Some(window) = self.windows.next() {
                let mut ctids = candidates::collect(target, self.leaf, window.as_ref())?;
                self.found += ctids.len() as u64;
                let found = ctids.len();
                ctids.retain(|ctid| !hopeless(store::key(self.leaf, *ctid)));
                self.passed_over += (found - ctids.len()) as u64;
                self.ctids = ctids.into_iter();
            } else if self.next_leaf < target.leaves.len() {
                self.leaf = self.next_leaf;
                self.next_leaf += 1;
                self.windows = candidates::windows(target, self.leaf)?.into_iter();
            } else {
                return Ok(Vec::new());
            }
        }
    }

    /// Ends this pass, when nothing of it is in flight any more, and begins the next.
    pub fn end(&mut self) -> Told {
        let fruitless = match self.embedded {
            0 => self.fruitless + 1,
            _ => 0,
        };
        let ended = std::mem::replace(
            self,
            Pass {
                fruitless,
                ..Pass::default()
            },
        );
        let left = ended.found.saturating_sub(ended.embedded);
        Told {
            left,
            again: ended.embedded > 0
                || ended.lost > 0
                || left > ended.passed_over && fruitless < MAX_FRUITLESS,
        }
    }
}
