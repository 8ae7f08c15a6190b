//! One runner for each embedding column: an advisory lock, exclusive and held by the session for a
//! CALL, since a transaction's lock ends at the first COMMIT; shared and the transaction's for
//! embed_missing.

use pgrx::prelude::*;

use super::error::Error;
use super::journal;
use super::sys;
use super::target::Target;

/// Held until dropped.
pub struct Runner {
    key: i64,
}

/// Somebody else's run on the same column.
#[derive(Debug, Clone)]
pub struct Holder {
    pub pid: i32,
    pub user: String,
    /// A CALL, not an embed_missing.
    pub whole_table: bool,
    /// It fills a collection and not the column.
    pub mirrors: bool,
}

impl Runner {
    pub fn only(target: &Target) -> Result<Result<Runner, Holder>, Error> {
        let key = target.lock_key();
        match sys::try_lock_session(key) {
            true => Ok(Ok(Runner { key })),
            false => Ok(Err(holder(key)?)),
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        sys::unlock_session(self.key);
    }
}

/// For the rest of the transaction; the holder where a CALL fills the column.
pub fn beside_others(target: &Target) -> Result<Result<(), Holder>, Error> {
    let key = target.lock_key();
    match sys::try_lock_transaction_shared(key) {
        true => Ok(Ok(())),
        false => Ok(Err(holder(key)?)),
    }
}

fn holder(key: i64) -> Result<Holder, Error> {
    let holder = sys::with_pinned_search_path(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    "SELECT l.pid, coalesce(a.usename::text, 'unknown'), l.mode = 'ExclusiveLock'
                     FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
                     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                       AND l.classid::int8 << 32 | l.objid::int8 = $1
                     ORDER BY 3 DESC",
                    Some(1),
                    &[key.into()],
                )?
                .first();
            match row.is_empty() {
                true => Ok(None),
                false => row.get_three::<i32, String, bool>().map(Some),
            }
        })
    })?;
    // Nobody where it has ended meanwhile.
    let (pid, user, whole_table) = holder.unwrap_or_default();
    let pid = pid.unwrap_or_default();
    Ok(Holder {
        pid,
        user: user.unwrap_or_default(),
        whole_table: whole_table.unwrap_or_default(),
        mirrors: journal::function_of(key, pid)?.as_deref() == Some(journal::MIRROR),
    })
}
