//! Finding pending rows. One predicate says what pending means, for every query of the project.

use std::ops::Range;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::{ItemPointerData, Oid};
use pgrx::prelude::*;
use pgrx::spi::SpiHeapTupleData;

use super::columns::NO_SPACE;
use super::error::Error;
use super::survey::count;
use super::sys::{self, Snapshot};
use super::target::Target;

/// Collected at a time: 8 MB of ctids, whatever the table's size.
pub const MAX_COLLECTED: i64 = 1_000_000;

impl Target {
    /// Rows that a run may look at: no vector yet, and inside the filter.
    pub fn missing(&self) -> String {
        format!("{} IS NULL AND {}", self.column.sql, self.filter)
    }

    /// A content that is NULL, empty or only white space can't be embedded. Nearly every content shows in
    /// its first letters that it is not; the match turns all that it is given into wide characters first.
    pub fn not_blank(&self) -> String {
        format!(
            "(pg_catalog.left({content}, 8) OPERATOR(pg_catalog.~) {NO_SPACE}
              OR {content} OPERATOR(pg_catalog.~) {NO_SPACE})",
            content = self.content
        )
    }

    /// Without waiting for anybody, and without standing in the way of foreign key checks.
    pub fn lock(&self) -> String {
        format!("FOR NO KEY UPDATE OF {} SKIP LOCKED", self.alias)
    }

    pub fn pending(&self) -> String {
        format!(
            "{} AND {} AND {}",
            self.missing(),
            self.not_blank(),
            self.not_rejected()
        )
    }

    /// `$1` are the md5s of the contents that were refused.
    pub fn not_rejected(&self) -> String {
        match self.rejected.is_empty() {
            true => "$1::pg_catalog.text[] IS NOT NULL".into(),
            false => format!(
                "pg_catalog.md5({}) OPERATOR(pg_catalog.<>) ALL ($1)",
                self.content
            ),
        }
    }

    /// FROM and WHERE for the rows of one leaf; conditions follow with AND.
    pub fn rows_of(&self, leaf: usize) -> String {
        let (source, within) = self.reach(leaf);
        format!("FROM {source} AS {} WHERE {within}", self.alias)
    }
}

/// As small as rows get.
pub const MOST_ROWS_PER_BLOCK: i64 = 291;

/// Where the pending rows of a leaf are, among the blocks `blocks`; at most `MAX_COLLECTED`.
pub fn collect(
    target: &Target,
    leaf: usize,
    blocks: Option<&Range<u32>>,
) -> Result<Vec<ItemPointerData>, Error> {
    let mut ctids = Vec::new();
    let arguments = [target.rejected.clone().into()];
    collect_where(
        target,
        leaf,
        blocks,
        "ctid",
        &target.pending(),
        &arguments,
        |row| {
            ctids.extend(row.get::<ItemPointerData>(1)?);
            Ok(())
        },
    )?;
    Ok(ctids)
}

/// Hands out `columns` of the rows of a leaf for which `condition` holds, among the blocks `blocks`; at most
/// `MAX_COLLECTED`.
pub fn collect_where(
    target: &Target,
    leaf: usize,
    blocks: Option<&Range<u32>>,
    columns: &str,
    condition: &str,
    arguments: &[DatumWithOid<'_>],
    mut take: impl FnMut(SpiHeapTupleData<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let window = match blocks {
        None => String::new(),
        Some(Range { start, end }) => format!(
            " AND ctid OPERATOR(pg_catalog.>=) '({start},0)'::pg_catalog.tid
              AND ctid OPERATOR(pg_catalog.<) '({end},0)'::pg_catalog.tid"
        ),
    };
    let statement = format!(
        "SELECT {columns} {}{window} AND {condition} LIMIT {MAX_COLLECTED}",
        target.rows_of(leaf),
    );
    const CHUNK: std::ffi::c_long = 10_000;
    // The leaf may have been waited for.
    let _snapshot = Snapshot::newest();
    Spi::connect(|client| {
        let mut cursor = client.try_open_cursor(&statement, arguments)?;
        loop {
            let rows = cursor.fetch(CHUNK)?;
            let is_last = rows.is_empty();
            for row in rows {
                take(row)?;
            }
            sys::free_tuples();
            if is_last {
                return Ok(());
            }
        }
    })
}

/// How a leaf is looked through: in one go, or, where that could find more than is held at a time, in
/// windows of blocks, so that a table of any size is read once a pass.
pub fn windows(target: &Target, leaf: usize) -> Result<Vec<Option<Range<u32>>>, Error> {
    let table = target.leaves[leaf].oid;
    let blocks = blocks(table)?;
    let rows = sys::with_pinned_search_path(|| {
        Spi::connect(|client| {
            client
                .select(
                    "SELECT (SELECT reltuples::float8 FROM pg_class WHERE oid = $1)",
                    None,
                    &[table.into()],
                )?
                .first()
                .get_one::<f64>()
        })
    })?;
    // No statistics, or rows as small as they get.
    let most_rows = u64::from(blocks) * MOST_ROWS_PER_BLOCK.unsigned_abs();
    let rows = match rows {
        Some(rows) if rows > 0.0 => (2.0 * rows) as u64,
        _ => most_rows,
    };
    if rows.min(most_rows) <= MAX_COLLECTED as u64 {
        return Ok(vec![None]);
    }
    let count = rows.min(most_rows).div_ceil(MAX_COLLECTED as u64);
    let step = u64::from(blocks).div_ceil(count).max(1);
    Ok((0..u64::from(blocks))
        .step_by(step as usize)
        .map(|start| Some(start as u32..(start + step).min(u64::from(u32::MAX)) as u32))
        .collect())
}

/// How many a table has.
pub fn blocks(table: Oid) -> Result<u32, Error> {
    let blocks = sys::with_pinned_search_path(|| {
        Spi::connect(|client| {
            client
                .select(
                    "SELECT pg_relation_size($1::oid) / current_setting('block_size')::int8",
                    None,
                    &[table.into()],
                )?
                .first()
                .get_one::<i64>()
        })
    })?;
    Ok(u32::try_from(count(blocks)).unwrap_or(u32::MAX))
}
