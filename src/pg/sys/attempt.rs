//! Work that may fail, with the transaction going on after it.

use std::panic::AssertUnwindSafe;
use std::ptr::null;

use pgrx::pg_sys::panic::{CaughtError, ErrorReportWithLevel};
use pgrx::{PgTryBuilder, pg_sys};

/// What `work` gives. Nothing of it is done where it fails, or where Postgres raises an error that `known` knows; other
/// errors go on their way.
pub fn attempt<T, E>(
    work: impl FnOnce() -> Result<T, E>,
    known: impl Fn(&ErrorReportWithLevel) -> Option<E>,
) -> Result<T, E> {
    let known = AssertUnwindSafe(known);
    // SAFETY: as PL/pgSQL does it: the subtransaction has a memory context and a resource owner of its own, it ends
    // however `work` does, and those from before are put back then.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        let restore = || {
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
        };
        let undo = || {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            restore();
        };
        pg_sys::BeginInternalSubTransaction(null());
        pg_sys::MemoryContextSwitchTo(context);
        PgTryBuilder::new(AssertUnwindSafe(|| {
            let done = work();
            match done {
                Ok(_) => {
                    pg_sys::ReleaseCurrentSubTransaction();
                    restore();
                }
                Err(_) => undo(),
            }
            done
        }))
        .catch_others(|error| {
            undo();
            if let CaughtError::PostgresError(report) = &error
                && let Some(failure) = known(report)
            {
                return Err(failure);
            }
            error.rethrow()
        })
        .execute()
    }
}
