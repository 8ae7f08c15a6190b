//! One look at every leaf of the target: where its pending rows are, and their content a few requests
//! at a time. Rows that change or move meanwhile are the next pass's.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;

use pgrx::pg_sys::ItemPointerData;

use super::candidates;
use super::contents::{self, Contents, READ_AT_ONCE};
use super::error::Error;
use super::store;
use super::target::Target;

/// Passes in a row that embed nothing before a run gives up on rows that never hold still, such as
/// those whose content is another one at each look.
const MAX_FRUITLESS: u32 = 3;

#[derive(Default)]
pub struct Pass {
    next_leaf: usize,
    windows: std::vec::IntoIter<Option<Range<u32>>>,
    ctids: VecDeque<ItemPointerData>,
    /// The leaf of `windows` and `ctids`.
    leaf: usize,
    found: u64,
    /// Found and left alone, since the run knows that they can't be written.
    passed_over: u64,
    /// Found, and left for later since others had them locked.
    locked: u64,
    pub embedded: u64,
    /// Requests that were sent and never answered.
    pub lost: u64,
    fruitless: u32,
}

/// What a whole pass tells.
pub struct Told {
    /// Pending rows that it found and the run did not embed.
    pub left: u64,
    /// Those of them that others had locked, as far as the run looked.
    pub locked: u64,
    /// Another pass may do more.
    pub again: bool,
}

/// What the run asks a pass for.
pub struct Wanted<'a> {
    pub rows: usize,
    /// Of their contents; one row may have more.
    pub bytes: usize,
    /// Rows that others have locked are left for later.
    pub unlocked: bool,
    /// False while vectors are written that are not committed: a look for rows may take long.
    pub may_look: bool,
    /// Places that the run knows it can't write to.
    pub hopeless: &'a HashSet<(usize, u64)>,
}

pub enum Next {
    Rows(Contents),
    /// It is to look for rows first.
    Later,
    Over,
}

impl Pass {
    /// Some pending rows with their content.
    pub fn next(&mut self, target: &Target, wanted: &Wanted<'_>) -> Result<Next, Error> {
        loop {
            if !self.ctids.is_empty() {
                let some = self.ctids.len().min(wanted.rows).min(READ_AT_ONCE);
                let some: Vec<_> = self.ctids.drain(..some).collect();
                let looked_at = some.len();
                let (rows, rest) =
                    contents::read(target, self.leaf, some, wanted.bytes, wanted.unlocked)?;
                if wanted.unlocked {
                    self.locked += (looked_at - rows.len() - rest.len()) as u64;
                }
                for ctid in rest.into_iter().rev() {
                    self.ctids.push_front(ctid);
                }
                if !rows.is_empty() {
                    return Ok(Next::Rows(rows));
                }
            } else if !wanted.may_look && !self.is_over(target) {
                return Ok(Next::Later);
            } else if let Some(window) = self.windows.next() {
                let mut ctids = candidates::collect(target, self.leaf, window.as_ref())?;
                self.found += ctids.len() as u64;
                let found = ctids.len();
                let hopeless = |ctid: &_| wanted.hopeless.contains(&store::key(self.leaf, *ctid));
                ctids.retain(|ctid| !hopeless(ctid));
                self.passed_over += (found - ctids.len()) as u64;
                self.ctids = ctids.into();
            } else if self.next_leaf < target.leaves.len() {
                self.leaf = self.next_leaf;
                self.next_leaf += 1;
                self.windows = candidates::windows(target, self.leaf)?.into_iter();
            } else {
                return Ok(Next::Over);
            }
        }
    }

    fn is_over(&self, target: &Target) -> bool {
        self.windows.as_slice().is_empty() && self.next_leaf >= target.leaves.len()
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
            locked: ended.locked,
            again: ended.embedded > 0
                || ended.lost > 0
                || left > ended.passed_over && fruitless < MAX_FRUITLESS,
        }
    }
}
