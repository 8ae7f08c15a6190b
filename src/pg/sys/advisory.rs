//! Advisory locks, in more of Postgres's modes than its functions for them offer.

use pgrx::pg_sys;

/// They conflict with each other as on tables.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    RowShare,
    RowExclusive,
    Share,
    Exclusive,
}

/// Who holds a lock, and so for how long.
#[derive(Debug, Clone, Copy)]
pub enum Span {
    Transaction,
    Session,
}

/// Without waiting; whether it was had.
pub fn try_lock(key: i64, mode: Mode, span: Span) -> bool {
    // SAFETY: a complete tag; LockAcquire copies it.
    let acquired = unsafe { pg_sys::LockAcquire(&tag(key), number(mode), is_session(span), true) };
    acquired != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

/// Gives back what `try_lock` took. Allowed while a transaction aborts.
pub fn unlock(key: i64, mode: Mode, span: Span) {
    // SAFETY: as above; the lock is this session's.
    unsafe { pg_sys::LockRelease(&tag(key), number(mode), is_session(span)) };
}

fn number(mode: Mode) -> pg_sys::LOCKMODE {
    let mode = match mode {
        Mode::RowShare => pg_sys::RowShareLock,
        Mode::RowExclusive => pg_sys::RowExclusiveLock,
        Mode::Share => pg_sys::ShareLock,
        Mode::Exclusive => pg_sys::ExclusiveLock,
    };
    mode as i32
}

fn is_session(span: Span) -> bool {
    matches!(span, Span::Session)
}

/// That of `pg_advisory_lock(bigint)`.
fn tag(key: i64) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        // SAFETY: backend-local, set before any query runs.
        locktag_field1: unsafe { pg_sys::MyDatabaseId.to_u32() },
        locktag_field2: (key >> 32) as u32,
        locktag_field3: key as u32,
        locktag_field4: 1,
        locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    }
}
