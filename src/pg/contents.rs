//! Reading rows that are pending: what they are to be embedded for, and how to find them again.

use std::collections::HashSet;

use pgrx::PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE;
use pgrx::itemptr::item_pointer_to_u64;
use pgrx::pg_sys::{ItemPointerData, TransactionId};
use pgrx::prelude::*;

use super::error::Error;
use super::store::Place;
use super::sys;
use super::target::Target;

/// Rows and their content.
pub type Contents = Vec<(Place, String)>;

/// A row as it was at one look, by which it is known at another.
#[derive(Debug)]
pub struct Version {
    pub leaf: usize,
    pub ctid: ItemPointerData,
    /// Who wrote it.
    pub xmin: TransactionId,
    pub md5: String,
}

/// Rows read at a time; for many more Postgres would rather look through the whole table.
pub const READ_AT_ONCE: usize = 200;

/// To claim rows while others move some of them to other partitions.
const ATTEMPTS: u32 = 10;

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

/// An error where these rows are as they were in another transaction, and each has another content all the same: it
/// would be paid for, and never be what had been sent when its vector comes.
pub fn unstable(target: &Target, versions: &[Version]) -> Result<Option<Error>, Error> {
    let (mut same, mut others) = (0, 0);
    for version in versions {
        let statement = format!(
            "SELECT pg_catalog.md5({content}) {from} AND ctid OPERATOR(pg_catalog.=) $1
               AND {alias}.xmin OPERATOR(pg_catalog.=) $2
               AND pg_catalog.pg_relation_filenode($3) OPERATOR(pg_catalog.=) $4",
            content = target.content,
            from = target.rows_of(version.leaf),
            alias = target.alias,
        );
        let leaf = &target.leaves[version.leaf];
        let arguments = [
            version.ctid.into(),
            version.xmin.into(),
            leaf.oid.into(),
            leaf.file.into(),
        ];
        Spi::connect(|client| {
            for row in client.select(&statement, None, &arguments)? {
                match row.get::<String>(1)?.as_ref() == Some(&version.md5) {
                    true => same += 1,
                    false => others += 1,
                }
            }
            Ok::<_, Error>(())
        })?;
    }
    Ok((same == 0 && others > 0).then(|| Error::UnstableContent {
        relation: target.label.clone(),
        rows: others,
    }))
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
