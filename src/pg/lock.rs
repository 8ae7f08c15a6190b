//! One runner for each embedding column: an advisory lock, held by the session for a CALL, since a transaction's
//! lock ends at the first COMMIT, and by the transaction for embed_missing.
//!
//! The column of a partition or a child is a part of the columns above it, of the same name. As with the rows of a
//! table, for which Postgres's modes and what conflicts with what are made: who has a part says so at the whole.
//!
//! | | its own column | each one above it | meets there |
//! | --- | --- | --- | --- |
//! | CALL | Exclusive | RowExclusive | a CALL or an embed_missing of the whole |
//! | embed_missing | Share | RowShare | a CALL of the whole |
//!
//! So two parts have nothing to do with each other, and a run takes a lock for each level, not for each partition.

use pgrx::pg_sys::Oid;
use pgrx::prelude::*;

use super::error::Error;
use super::journal;
use super::sys::{self, Mode, Span};
use super::target::{self, Target};

/// Held until dropped.
pub struct Runner(Vec<(i64, Mode)>);

/// Somebody else's run on the same column, or on a part of it, or on one that it is a part of.
#[derive(Debug, Clone)]
pub struct Holder {
    pub pid: i32,
    pub user: String,
    /// A CALL, not an embed_missing.
    pub is_call: bool,
    /// It fills a collection and not the column.
    pub mirrors: bool,
}

impl Runner {
    pub fn only(target: &Target) -> Result<Result<Runner, Holder>, Error> {
        let locks = locks(target, Mode::Exclusive, Mode::RowExclusive)?;
        match take(&locks, Span::Session) {
            Ok(()) => Ok(Ok(Runner(locks))),
            Err((key, mode)) => Ok(Err(holder(key, mode)?)),
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        give_back(&self.0, Span::Session);
    }
}

/// For the rest of the transaction; the holder where a CALL fills the column.
pub fn beside_others(target: &Target) -> Result<Result<(), Holder>, Error> {
    let locks = locks(target, Mode::Share, Mode::RowShare)?;
    match take(&locks, Span::Transaction) {
        Ok(()) => Ok(Ok(())),
        Err((key, mode)) => Ok(Err(holder(key, mode)?)),
    }
}

/// The column's own in one mode, and those of the columns that it is a part of in another.
fn locks(target: &Target, own: Mode, above: Mode) -> Result<Vec<(i64, Mode)>, Error> {
    let mut locks = vec![(target.lock_key(), own)];
    sys::with_pinned_search_path(|| {
        Spi::connect(|client| {
            for row in client.select(
                "WITH RECURSIVE above (oid) AS (
                     SELECT inhparent FROM pg_inherits WHERE inhrelid = $1
                     UNION
                     SELECT i.inhparent FROM pg_inherits i JOIN above ON i.inhrelid = above.oid
                 )
                 SELECT a.attrelid, a.attnum
                 FROM above JOIN pg_attribute a ON a.attrelid = above.oid AND a.attname = $2::name",
                None,
                &[target.oid.into(), target.column.name.as_str().into()],
            )? {
                if let (Some(oid), Some(number)) = (row.get::<Oid>(1)?, row.get::<i16>(2)?) {
                    locks.push((target::lock_key(oid, number), above));
                }
            }
            Ok::<_, Error>(())
        })
    })?;
    Ok(locks)
}

/// All of them, or none and the one that was not to be had.
fn take(locks: &[(i64, Mode)], span: Span) -> Result<(), (i64, Mode)> {
    for (taken, &(key, mode)) in locks.iter().enumerate() {
        if !sys::try_lock(key, mode, span) {
            give_back(&locks[..taken], span);
            return Err((key, mode));
        }
    }
    Ok(())
}

fn give_back(locks: &[(i64, Mode)], span: Span) {
    for &(key, mode) in locks {
        sys::unlock(key, mode, span);
    }
}

/// As pg_locks calls them.
fn conflicting(mode: Mode) -> Vec<&'static str> {
    match mode {
        Mode::RowShare => vec!["ExclusiveLock"],
        Mode::RowExclusive => vec!["ExclusiveLock", "ShareLock"],
        Mode::Share => vec!["ExclusiveLock", "RowExclusiveLock"],
        Mode::Exclusive => vec![
            "ExclusiveLock",
            "RowExclusiveLock",
            "ShareLock",
            "RowShareLock",
        ],
    }
}

/// Who stands in the way; rather a CALL, if there are several.
fn holder(key: i64, wanted: Mode) -> Result<Holder, Error> {
    let holder = sys::with_pinned_search_path(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    "SELECT l.pid, coalesce(a.usename::text, 'unknown'),
                            l.mode IN ('ExclusiveLock', 'RowExclusiveLock')
                     FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
                     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                       AND l.classid::int8 << 32 | l.objid::int8 = $1 AND l.mode = ANY ($2)
                       AND l.pid <> pg_backend_pid()
                     ORDER BY 3 DESC",
                    Some(1),
                    &[key.into(), conflicting(wanted).into()],
                )?
                .first();
            match row.is_empty() {
                true => Ok(None),
                false => row.get_three::<i32, String, bool>().map(Some),
            }
        })
    })?;
    // Nobody where it has ended meanwhile.
    let (pid, user, is_call) = holder.unwrap_or_default();
    let pid = pid.unwrap_or_default();
    Ok(Holder {
        pid,
        user: user.unwrap_or_default(),
        is_call: is_call.unwrap_or_default(),
        mirrors: journal::function_of(pid)?.as_deref() == Some(journal::MIRROR),
    })
}
