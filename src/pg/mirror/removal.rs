//! The last part of a run: what the collection has and the table has not is deleted. Page by page; how many
//! ids of them were deleted moves the next page by as much.

use super::Source;
use crate::engine::mirror::Job;
use crate::pg::error::Error;

/// Ids in a page, and in a request to delete.
const PAGE: usize = 1_000;

pub struct Removal {
    limit: usize,
    offset: u64,
    /// Of pages that have arrived, not looked up yet.
    ids: Vec<String>,
    /// The last page was empty.
    is_whole: bool,
}

impl Removal {
    pub fn new(max_batch: usize) -> Removal {
        Removal {
            limit: PAGE.min(max_batch),
            offset: 0,
            ids: Vec::new(),
            is_whole: false,
        }
    }

    pub fn page(&mut self, ids: Vec<String>) {
        self.is_whole = ids.is_empty();
        self.offset += ids.len() as u64;
        self.ids.extend(ids);
    }

    /// What to send next, when nothing is in flight; nothing when all is done.
    pub fn next<T>(&mut self, source: &Source) -> Result<Vec<Job<T>>, Error> {
        if !self.is_whole && self.ids.len() < source.key.ids_at_once() {
            return Ok(vec![self.next_page()]);
        }
        let ids = std::mem::take(&mut self.ids);
        if !ids.is_empty() {
            let present = source.key.present(&source.target, &source.rows(), &ids)?;
            let gone: Vec<String> = ids.into_iter().filter(|id| !present.contains(id)).collect();
            self.offset -= gone.len() as u64;
            if !gone.is_empty() {
                let pages = gone.chunks(self.limit);
                return Ok(pages.map(|ids| Job::Delete(ids.to_vec())).collect());
            }
        }
        match self.is_whole {
            true => Ok(Vec::new()),
            false => Ok(vec![self.next_page()]),
        }
    }

    fn next_page<T>(&self) -> Job<T> {
        Job::Page {
            offset: self.offset,
            limit: self.limit,
        }
    }
}
