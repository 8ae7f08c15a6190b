//! Finding pending rows. One predicate says what pending means, for every query of the project.

use pgrx::pg_sys::ItemPointerData;
use pgrx::prelude::*;

use super::error::Error;
use super::store::Place;
use super::target::{Leaf, Target};

/// Collected at a time: 8 MB of ctids, whatever the table's size.
pub const MAX_COLLECTED: i64 = 1_000_000;

/// What there is to do before a run, in one scan of each leaf.
#[derive(Debug, Clone, Copy, Default)]
pub struct Survey {
    pub pending: u64,
    /// Missing a vector, but with no content to make one from.
    pub blank: u64,
    /// Of the pending rows' content.
    pub bytes: u64,
}

impl Target {
    /// Rows that a run may look at: no vector yet, and inside the filter.
    fn missing(&self) -> String {
        format!("{} IS NULL AND {}", self.column.sql, self.filter)
    }

    /// A content that is NULL, empty or only white space can't be embedded.
    fn not_blank(&self) -> String {
        format!("{} OPERATOR(pg_catalog.~) '\\S'", self.content)
    }

    /// Without waiting for anybody, and without standing in the way of foreign key checks.
    pub fn lock(&self) -> String {
        format!("FOR NO KEY UPDATE OF {} SKIP LOCKED", self.alias)
    }

    fn pending(&self) -> String {
        format!("{} AND {}", self.missing(), self.not_blank())
    }

    /// FROM and WHERE for the rows of one leaf; conditions follow with AND.
    pub fn rows_of(&self, leaf: usize) -> String {
        let Leaf { source, within } = &self.leaves[leaf];
        format!("FROM {source} AS {} WHERE {within}", self.alias)
    }
}

pub fn survey(target: &Target) -> Result<Survey, Error> {
    let mut total = Survey::default();
    for leaf in 0..target.leaves.len() {
        let statement = format!(
            "SELECT pg_catalog.count(*) FILTER (WHERE {not_blank}),
                    pg_catalog.count(*) FILTER (WHERE ({not_blank}) IS NOT TRUE),
                    pg_catalog.sum(pg_catalog.octet_length({content})::pg_catalog.int8)
                        FILTER (WHERE {not_blank})::pg_catalog.int8
             {from} AND {missing}",
            content = target.content,
            not_blank = target.not_blank(),
            missing = target.missing(),
            from = target.rows_of(leaf),
        );
        let (pending, blank, bytes) = Spi::connect(|client| {
            client
                .select(&statement, None, &[])?
                .first()
                .get_three::<i64, i64, i64>()
        })?;
        total.pending += count(pending);
        total.blank += count(blank);
        total.bytes += count(bytes);
    }
    Ok(total)
}

fn count(value: Option<i64>) -> u64 {
    value.unwrap_or(0).max(0).unsigned_abs()
}

/// Where the pending rows of a leaf are, at most `MAX_COLLECTED`.
pub fn collect(target: &Target, leaf: usize) -> Result<Vec<ItemPointerData>, Error> {
    let statement = format!(
        "SELECT ctid {} AND {} LIMIT {MAX_COLLECTED}",
        target.rows_of(leaf),
        target.pending()
    );
    const CHUNK: std::ffi::c_long = 10_000;
    Spi::connect(|client| {
        let mut ctids = Vec::new();
        let mut cursor = client.try_open_cursor(&statement, &[])?;
        loop {
            let before = ctids.len();
            for row in cursor.fetch(CHUNK)? {
                ctids.extend(row.get::<ItemPointerData>(1)?);
            }
            if ctids.len() == before {
                return Ok(ctids);
            }
        }
    })
}

/// Reads those of `ctids` that are still pending.
pub fn read(
    target: &Target,
    leaf: usize,
    ctids: Vec<ItemPointerData>,
) -> Result<Vec<(Place, String)>, Error> {
    let statement = format!(
        "SELECT ctid, pg_catalog.md5({content}), {content} {from}
           AND ctid OPERATOR(pg_catalog.=) ANY ($1) AND {pending} {lock}",
        content = target.content,
        from = target.rows_of(leaf),
        pending = target.pending(),
        // Only a lock shows which rows a policy opens to updates; it ends with the transaction, before
        // anything is waited for.
        lock = match target.row_security {
            true => target.lock(),
            false => String::new(),
        },
    );
    Spi::connect_mut(|client| places(leaf, client.update(&statement, None, &[ctids.into()])?))
}

/// Locks and reads up to `limit` pending rows that nobody else has locked, but for those at `except`.
pub fn claim(
    target: &Target,
    leaf: usize,
    limit: usize,
    except: Vec<ItemPointerData>,
) -> Result<Vec<(Place, String)>, Error> {
    let statement = format!(
        "SELECT ctid, pg_catalog.md5({content}), {content} {from}
           AND {pending} AND ctid OPERATOR(pg_catalog.<>) ALL ($1) LIMIT {limit} {lock}",
        content = target.content,
        from = target.rows_of(leaf),
        pending = target.pending(),
        lock = target.lock(),
    );
    Spi::connect_mut(|client| places(leaf, client.update(&statement, None, &[except.into()])?))
}

fn places(leaf: usize, table: spi::SpiTupleTable<'_>) -> Result<Vec<(Place, String)>, Error> {
    let mut rows = Vec::with_capacity(table.len());
    for row in table {
        if let (Some(ctid), Some(md5), Some(content)) = (row.get(1)?, row.get(2)?, row.get(3)?) {
            rows.push((Place { leaf, ctid, md5 }, content));
        }
    }
    Ok(rows)
}
