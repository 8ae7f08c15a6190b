//! The rows that have a vector, read a few hundred at a time in transactions of their own. What others change
//! meanwhile is found by the next look, so that the last thing sent of a row is how it was in the end.

use std::collections::HashSet;
use std::ops::Range;
use std::vec::IntoIter;

use pgrx::itemptr::item_pointer_to_u64;
use pgrx::pg_sys::ItemPointerData;
use pgrx::prelude::*;

use super::Source;
use crate::chroma::record::Record;
use crate::pg::candidates;
use crate::pg::error::Error;
use crate::pg::sys;

/// Rows read at a time; for many more Postgres would rather look through the whole table.
const READ_AT_ONCE: usize = 200;

/// Looks at a table that never holds still; what changes after that is the next run's.
const MAX_LOOKS: u32 = 3;

/// Versions of rows that are remembered, for some 50 MB; what is forgotten is sent once more by the next look.
const MAX_SEEN: usize = 1_000_000;

#[derive(Default)]
pub struct Looks {
    /// Looks that have ended.
    ended: u32,
    /// The oldest transaction that was running when the first look began. What it or a later one wrote is
    /// young, and may be written again.
    horizon: Option<i64>,
    /// Versions of rows, young ones, that have been read: leaf, ctid and writer.
    seen: HashSet<(usize, u64, i64)>,
    next_leaf: usize,
    leaf: usize,
    windows: IntoIter<Option<Range<u32>>>,
    ctids: IntoIter<ItemPointerData>,
    found: u64,
    /// Every row is to be read, not only the young ones.
    only_young: bool,
}

impl Looks {
    /// Up to `limit` rows; none when the look is over. None in place of a record where its key is NULL.
    pub fn next_records(
        &mut self,
        source: &Source,
        limit: usize,
    ) -> Result<Vec<Option<Record>>, Error> {
        loop {
            let ctids: Vec<_> = self.ctids.by_ref().take(limit.min(READ_AT_ONCE)).collect();
            if !ctids.is_empty() {
                let records = read(source, self.leaf, ctids)?;
                if !records.is_empty() {
                    return Ok(records);
                }
            } else if let Some(window) = self.windows.next() {
                self.ctids = self.collect(source, window.as_ref())?.into_iter();
            } else if self.next_leaf < source.target.leaves.len() {
                self.leaf = self.next_leaf;
                self.next_leaf += 1;
                self.windows = windows(source, self.leaf)?.into_iter();
            } else {
                return Ok(Vec::new());
            }
        }
    }

    /// Ends a look, when nothing of it is in flight any more; false when it was the last.
    pub fn another(&mut self, new_leaves: bool) -> bool {
        self.ended += 1;
        let found = std::mem::take(&mut self.found);
        self.next_leaf = 0;
        if new_leaves {
            // Places are by leaf.
            self.seen.clear();
        }
        let another = self.ended < MAX_LOOKS && (new_leaves || !self.only_young || found > 0);
        self.only_young = !new_leaves;
        another
    }

    fn collect(
        &mut self,
        source: &Source,
        window: Option<&Range<u32>>,
    ) -> Result<Vec<ItemPointerData>, Error> {
        let horizon = match self.horizon {
            Some(horizon) => horizon,
            None => *self.horizon.insert(oldest_running()?),
        };
        // As transaction IDs count, in a circle; those below 3 are none.
        let writer = "xmin::pg_catalog.text::pg_catalog.int8";
        let young = format!(
            "({writer} OPERATOR(pg_catalog.>=) 3 AND (({writer} OPERATOR(pg_catalog.-) {horizon})
             OPERATOR(pg_catalog.&) 4294967295) OPERATOR(pg_catalog.<) 2147483648)"
        );
        let condition = match self.only_young {
            true => format!("{young} AND {}", source.rows()),
            false => source.rows(),
        };
        let columns = format!("ctid, CASE WHEN {young} THEN {writer} END");
        let mut ctids = Vec::new();
        let (seen, leaf) = (&mut self.seen, self.leaf);
        let mut remember = |version| {
            if seen.len() >= MAX_SEEN {
                seen.clear();
            }
            seen.insert(version)
        };
        candidates::collect_where(
            &source.target,
            leaf,
            window,
            &columns,
            &condition,
            &[],
            |row| {
                let Some(ctid) = row.get::<ItemPointerData>(1)? else {
                    return Ok(());
                };
                let is_new = match row.get::<i64>(2)? {
                    Some(writer) => remember((leaf, item_pointer_to_u64(ctid), writer)),
                    None => true,
                };
                if is_new {
                    ctids.push(ctid);
                }
                Ok(())
            },
        )?;
        self.found += ctids.len() as u64;
        Ok(ctids)
    }
}

/// Of so many blocks that no window has more rows than are collected at a time, whatever statistics say. The
/// last has no end, since the table may grow.
fn windows(source: &Source, leaf: usize) -> Result<Vec<Option<Range<u32>>>, Error> {
    const BLOCKS: usize = (candidates::MAX_COLLECTED / candidates::MOST_ROWS_PER_BLOCK) as usize;
    let blocks = candidates::blocks(source.target.leaves[leaf].oid)?;
    if blocks as usize <= BLOCKS {
        return Ok(vec![None]);
    }
    let mut windows: Vec<Range<u32>> = (0..blocks)
        .step_by(BLOCKS)
        .map(|start| start..start.saturating_add(BLOCKS as u32))
        .collect();
    if let Some(last) = windows.last_mut() {
        last.end = u32::MAX;
    }
    Ok(windows.into_iter().map(Some).collect())
}

/// The lower half of its ID, which is what rows have.
fn oldest_running() -> Result<i64, Error> {
    let oldest = sys::with_pinned_search_path(|| {
        Spi::connect(|client| {
            client
                .select(
                    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8 & 4294967295",
                    None,
                    &[],
                )?
                .first()
                .get_one::<i64>()
        })
    })?;
    Ok(oldest.unwrap_or_default())
}

fn read(
    source: &Source,
    leaf: usize,
    ctids: Vec<ItemPointerData>,
) -> Result<Vec<Option<Record>>, Error> {
    let target = &source.target;
    let statement = format!(
        "SELECT {key}, {column}::pg_catalog.text, {content}, {metadata} {from}
           AND ctid OPERATOR(pg_catalog.=) ANY ($1) AND {rows}",
        key = source.key.sql,
        column = target.column.sql,
        content = target.content,
        metadata = source.metadata.sql,
        from = target.rows_of(leaf),
        rows = source.rows(),
    );
    Spi::connect_mut(|client| {
        let arguments = [ctids.into()];
        let plan = target.plans.of(client, &statement, &arguments)?;
        let table = client.update(&*plan, None, &arguments)?;
        let mut records = Vec::with_capacity(table.len());
        for row in table {
            let Some(vector) = row.get::<String>(2)? else {
                continue;
            };
            let document = row.get(3)?.unwrap_or_default();
            let metadata = row.get(4)?.unwrap_or_default();
            records.push(row.get(1)?.map(|id| Record {
                id,
                vector,
                document,
                metadata: source.metadata.values(metadata),
            }));
        }
        Ok(records)
    })
}
