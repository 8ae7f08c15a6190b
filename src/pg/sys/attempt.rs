//! Work that Postgres may refuse, with the transaction going on after it.

use std::panic::AssertUnwindSafe;
use std::ptr::null;

use pgrx::{PgSqlErrorCode, PgTryBuilder, pg_sys};

/// What `work` gives; none, and nothing of it done, where it was refused with this code. Other errors go on their way.
pub fn unless<T>(code: PgSqlErrorCode, work: impl FnOnce() -> T) -> Option<T> {
    // SAFETY: as PL/pgSQL does it: the subtransaction has a memory context and a resource owner of its own, it ends
    // however `work` does, and those from before are put back then.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        let restore = || {
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
        };
        pg_sys::BeginInternalSubTransaction(null());
        pg_sys::MemoryContextSwitchTo(context);
        PgTryBuilder::new(AssertUnwindSafe(|| {
            let done = work();
            pg_sys::ReleaseCurrentSubTransaction();
            restore();
            Some(done)
        }))
        .catch_when(code, |_| {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            restore();
            None
        })
        .catch_others(|error| {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            restore();
            error.rethrow()
        })
        .execute()
    }
}
