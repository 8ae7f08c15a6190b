//! Finding pending rows. One predicate says what pending means, for every query of the project.

use std::collections::HashSet;
use std::ops::Range;

use pgrx::PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE;
use pgrx::datum::DatumWithOid;
use pgrx::itemptr::item_pointer_to_u64;
use pgrx::pg_sys::{ItemPointerData, Oid};
use pgrx::prelude::*;
use pgrx::spi::SpiHeapTupleData;

use super::error::Error;
use super::store::Place;
use super::survey::count;
use super::sys::{self, Snapshot};
use super::target::Target;

/// Collected at a time: 8 MB of ctids, whatever the table's size.
pub const MAX_COLLECTED: i64 = 1_000_000;

/// Rows read at a time; for many more Postgres would rather look through the whole table.
pub const READ_AT_ONCE: usize = 200;

/// Rows and their content.
pub type Contents = Vec<(Place, String)>;

impl Target {
    /// Rows that a run may look at: no vector yet, and inside the filter.
    pub fn missing(&self) -> String {
        format!("{} IS NULL AND {}", self.column.sql, self.filter)
    }

    /// A content that is NULL, empty or only white space can't be embedded. Nearly every content shows in
    /// its first letters that it is not; the match turns all that it is given into wide characters first.
    pub fn not_blank(&self) -> String {
        format!(
            "(pg_catalog.left({content}, 8) OPERATOR(pg_catalog.~) '\\S'
              OR {content} OPERATOR(pg_catalog.~) '\\S')",
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
        let (source, within) = self.leaves[leaf].reach(self);
        format!("FROM {source} AS {} WHERE {within}", self.alias)
    }
}

/// To claim rows while others move some of them to other partitions.
const ATTEMPTS: u32 = 10;

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

/// Reads those of `ctids` that are still pending, but no more of them when their contents have `most_bytes` or more;
/// returns them, and what was not looked at. Where there is to be a lock, rows that others have locked are left out.
pub fn read(
    target: &Target,
    leaf: usize,
    ctids: Vec<ItemPointerData>,
    most_bytes: usize,
    lock: bool,
) -> Result<(Contents, Vec<ItemPointerData>), Error> {
    // Only a lock shows which rows a policy opens to updates.
    let lock = lock || target.row_security;
    let statement = format!(
        "SELECT ctid, pg_catalog.md5({content}), {content} {from}
           AND ctid OPERATOR(pg_catalog.=) ANY ($2) AND {pending} {lock}",
        content = target.content,
        from = target.rows_of(leaf),
        pending = target.pending(),
        // It ends with the transaction, before anything is waited for.
        lock = match lock {
            true => target.lock(),
            false => String::new(),
        },
    );
    let read = || {
        let arguments = [target.rejected.clone().into(), ctids.clone().into()];
        let mut rows = Vec::with_capacity(ctids.len());
        Spi::connect_mut(|client| {
            // A plan that knows what was refused looks it up in a hash; one for all cases would go through the list for
            // each row.
            let mut cursor = match target.rejected.is_empty() {
                true => {
                    let plan = target.plans.of(client, &statement, &arguments)?;
                    client.try_open_cursor_mut(&*plan, &arguments)?
                }
                false => client.try_open_cursor_mut(&statement, &arguments)?,
            };
            let mut bytes = 0;
            while bytes < most_bytes {
                // As many as are likely to fit, by those before.
                let likely = (most_bytes - bytes) / (bytes / rows.len().max(1)).max(1);
                let wanted = match rows.is_empty() {
                    true => 1,
                    false => likely.clamp(1, READ_AT_ONCE),
                };
                let some = places(leaf, cursor.fetch(wanted as std::ffi::c_long)?)?;
                sys::free_tuples();
                if some.is_empty() {
                    return Ok((rows, true));
                }
                bytes += some.iter().map(|(_, text)| text.len()).sum::<usize>();
                rows.extend(some);
            }
            Ok::<_, Error>((rows, false))
        })
    };
    let (rows, is_whole) = match lock {
        // The next pass finds them.
        true => unless_one_moves(target, leaf, read)?.unwrap_or((Vec::new(), true)),
        false => read()?,
    };
    if is_whole {
        return Ok((rows, Vec::new()));
    }
    let read: HashSet<u64> = rows
        .iter()
        .map(|(place, _)| item_pointer_to_u64(place.ctid))
        .collect();
    let rest = ctids.into_iter();
    let rest = rest.filter(|ctid| !read.contains(&item_pointer_to_u64(*ctid)));
    Ok((rows, rest.collect()))
}

/// None where a row goes to another partition as it is locked, for which Postgres has an error.
fn unless_one_moves<T>(
    target: &Target,
    leaf: usize,
    lock: impl Fn() -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    if !sys::is_partition(target.leaves[leaf].oid) {
        return lock().map(Some);
    }
    let done = sys::attempt(
        || lock().map_err(Some),
        |report| (report.sql_error_code() == ERRCODE_T_R_SERIALIZATION_FAILURE).then_some(None),
    );
    match done {
        Ok(done) => Ok(Some(done)),
        Err(None) => Ok(None),
        Err(Some(error)) => Err(error),
    }
}

/// Locks and reads up to `limit` pending rows that nobody else has locked, but for those at `except`.
pub fn claim(
    target: &Target,
    leaf: usize,
    limit: usize,
    except: Vec<ItemPointerData>,
) -> Result<Contents, Error> {
    let statement = format!(
        "SELECT ctid, pg_catalog.md5({content}), {content} {from}
           AND {pending} AND ctid OPERATOR(pg_catalog.<>) ALL ($2) LIMIT {limit} {lock}",
        content = target.content,
        from = target.rows_of(leaf),
        pending = target.pending(),
        lock = target.lock(),
    );
    let claim = || {
        Spi::connect_mut(|client| {
            let arguments = [target.rejected.clone().into(), except.clone().into()];
            places(leaf, client.update(&statement, None, &arguments)?)
        })
    };
    // In a transaction that sees no news it would be the same each time.
    for _ in 1..ATTEMPTS {
        if let Some(claimed) = unless_one_moves(target, leaf, claim)? {
            return Ok(claimed);
        }
    }
    claim()
}

fn places(leaf: usize, table: spi::SpiTupleTable<'_>) -> Result<Contents, Error> {
    let mut rows = Vec::with_capacity(table.len());
    for row in table {
        if let (Some(ctid), Some(md5), Some(content)) = (row.get(1)?, row.get(2)?, row.get(3)?) {
            rows.push((Place { leaf, ctid, md5 }, content));
        }
    }
    Ok(rows)
}

/// How to find the row at `place` again, as JSON.
pub fn row_key(target: &Target, place: &Place) -> Result<Option<String>, Error> {
    let statement = format!(
        "SELECT {}::pg_catalog.text {} AND ctid OPERATOR(pg_catalog.=) $1",
        target.row_key,
        target.rows_of(place.leaf)
    );
    let key = Spi::connect(|client| {
        let rows = client.select(&statement, Some(1), &[place.ctid.into()])?;
        match rows.is_empty() {
            true => Ok(None),
            false => rows.first().get_one::<String>(),
        }
    })?;
    Ok(key)
}
