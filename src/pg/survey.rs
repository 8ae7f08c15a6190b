//! Counting, before a run and for those who ask: what is there, what is missing, and why.

use pgrx::prelude::*;

use super::contents::Version;
use super::error::Error;
use super::sys;
use super::target::Target;

/// What there is to do before a run, in one scan of each leaf.
#[derive(Debug, Clone, Copy, Default)]
pub struct Survey {
    pub pending: u64,
    /// Missing a vector, but with no content to make one from.
    pub blank: u64,
    /// Refused before.
    pub rejected: u64,
    /// Of the pending rows' content.
    pub bytes: u64,
}

/// Rows of all leaves, whatever the filter.
pub struct Totals {
    pub rows: u64,
    pub embedded: u64,
}

pub fn totals(target: &Target) -> Result<Totals, Error> {
    let (mut rows, mut embedded) = (0, 0);
    for leaf in 0..target.leaves.len() {
        let statement = format!(
            "SELECT pg_catalog.count(*), pg_catalog.count({}) {}",
            target.column.sql,
            target.rows_of(leaf)
        );
        let counts = Spi::connect(|client| {
            client
                .select(&statement, None, &[])?
                .first()
                .get_two::<i64, i64>()
        })?;
        rows += count(counts.0);
        embedded += count(counts.1);
    }
    Ok(Totals { rows, embedded })
}

/// Contents of rows that are pending, for a look and an estimate: up to `limit`, and no more when they have `most_bytes`.
/// Besides, the first of the rows, where the caller may see who wrote them.
pub fn some_contents(
    target: &Target,
    limit: usize,
    most_bytes: usize,
) -> Result<(Vec<String>, Vec<Version>), Error> {
    const CHUNK: std::ffi::c_long = 10;
    const FIRST: usize = 5;
    let mut contents = Vec::new();
    let mut versions = Vec::new();
    let xmin = match may_read_xmin(target)? {
        true => format!("{}.xmin", target.alias),
        false => "NULL::pg_catalog.xid".into(),
    };
    let mut bytes = 0;
    for leaf in 0..target.leaves.len() {
        if contents.len() == limit || bytes >= most_bytes {
            break;
        }
        let statement = format!(
            "SELECT {content}, ctid, {xmin}, pg_catalog.md5({content}) {from} AND {pending} LIMIT {limit}",
            content = target.content,
            from = target.rows_of(leaf),
            pending = target.pending(),
            limit = limit - contents.len()
        );
        Spi::connect(|client| {
            let arguments = [target.rejected.clone().into()];
            let mut cursor = client.try_open_cursor(&statement, &arguments)?;
            while bytes < most_bytes {
                let rows = cursor.fetch(CHUNK)?;
                let is_last = rows.is_empty();
                for row in rows {
                    let Some(content) = row.get::<String>(1)? else {
                        continue;
                    };
                    bytes += content.len();
                    contents.push(content);
                    if versions.len() < FIRST
                        && let (Some(ctid), Some(xmin), Some(md5)) =
                            (row.get(2)?, row.get(3)?, row.get(4)?)
                    {
                        versions.push(Version {
                            leaf,
                            ctid,
                            xmin,
                            md5,
                        });
                    }
                }
                sys::free_tuples();
                if is_last {
                    break;
                }
            }
            Ok::<_, Error>(())
        })?;
    }
    Ok((contents, versions))
}

/// Who has rights on single columns may not.
fn may_read_xmin(target: &Target) -> Result<bool, Error> {
    let may = sys::with_pinned_search_path(|| {
        Spi::connect(|client| {
            client
                .select(
                    "SELECT has_column_privilege($1::oid, 'xmin', 'SELECT')",
                    None,
                    &[target.oid.into()],
                )?
                .first()
                .get_one::<bool>()
        })
    })?;
    Ok(may.unwrap_or(false))
}

pub fn survey(target: &Target) -> Result<Survey, Error> {
    let mut total = Survey::default();
    for leaf in 0..target.leaves.len() {
        let statement = format!(
            // Looked at once for each row: without OFFSET the planner would copy what is asked into each place.
            "SELECT pg_catalog.count(*) FILTER (WHERE has_text AND is_new),
                    pg_catalog.count(*) FILTER (WHERE has_text IS NOT TRUE),
                    pg_catalog.sum(bytes) FILTER (WHERE has_text AND is_new)::pg_catalog.int8,
                    pg_catalog.count(*)
             FROM (SELECT {not_blank} AS has_text,
                          {not_rejected} AS is_new,
                          pg_catalog.octet_length({content})::pg_catalog.int8 AS bytes
                   {from} AND {missing} OFFSET 0) AS missing",
            content = target.content,
            not_blank = target.not_blank(),
            not_rejected = target.not_rejected(),
            missing = target.missing(),
            from = target.rows_of(leaf),
        );
        let (pending, blank, bytes, missing) = Spi::connect(|client| {
            let row = client
                .select(&statement, None, &[target.rejected.clone().into()])?
                .first();
            Ok::<_, Error>((row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })?;
        total.pending += count(pending);
        total.blank += count(blank);
        total.rejected += count(missing) - count(pending) - count(blank);
        total.bytes += count(bytes);
    }
    Ok(total)
}

pub fn count(value: Option<i64>) -> u64 {
    value.unwrap_or(0).max(0).unsigned_abs()
}
