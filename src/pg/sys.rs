//! The calls into Postgres that need `unsafe`, each behind a safe function. Nothing else of the
//! project is unsafe but `parser` and what pgrx's own macros write.
#![allow(unsafe_code)]

mod abort;
mod advisory;
mod attempt;
mod relation;
mod snapshot;

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use pgrx::pg_sys;

pub use abort::{on_abort, on_abort_of_any};
pub use advisory::{Mode, Span, try_lock, unlock};
pub use attempt::attempt;
pub use relation::{
    Say, column_name, column_typmod, is_below, is_partition, lock_name, lock_relation, name_of,
    say_in_updates,
};
pub use snapshot::Snapshot;

/// Runs `f` with a search_path of `pg_catalog, pg_temp`, so that a catalog query means what it says
/// whatever the caller's search_path has in front.
pub fn with_pinned_search_path<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: a nest level of our own; an error in `f` leaves it to Postgres's abort, which
    // restores every level above the transaction's.
    let level = unsafe {
        let level = pg_sys::NewGUCNestLevel();
        pg_sys::set_config_option(
            c"search_path".as_ptr(),
            c"pg_catalog, pg_temp".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
        level
    };
    let result = f();
    // SAFETY: the level opened above, closed once.
    unsafe { pg_sys::AtEOXact_GUC(true, level) };
    result
}

/// Runs `f` with the rights of `user`, as a SECURITY DEFINER function would.
pub fn as_user<R>(user: pg_sys::Oid, f: impl FnOnce() -> R) -> R {
    let mut before = pg_sys::Oid::INVALID;
    let mut context = 0;
    // SAFETY: an error in `f` leaves it to Postgres's abort, which restores the user.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut before, &mut context);
        let local = context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32;
        pg_sys::SetUserIdAndSecContext(user, local);
    }
    let result = f();
    // SAFETY: what was there before.
    unsafe { pg_sys::SetUserIdAndSecContext(before, context) };
    result
}

/// The name of the database's encoding where it is not UTF-8, the only one that texts and names can
/// cross in unharmed.
pub fn other_encoding() -> Option<String> {
    // SAFETY: reads backend-local state; the name is a static C string.
    unsafe {
        match pg_sys::GetDatabaseEncoding() {
            encoding if encoding == pg_sys::pg_enc::PG_UTF8 as i32 => None,
            _ => {
                let name = CStr::from_ptr(pg_sys::GetDatabaseEncodingName());
                Some(name.to_string_lossy().into_owned())
            }
        }
    }
}

/// Of this server and of all physical copies of it.
pub fn system_identifier() -> u64 {
    // SAFETY: reads what every backend has of the control file.
    unsafe { pg_sys::GetSystemIdentifier() }
}

pub fn transaction_read_only() -> bool {
    // SAFETY: reads backend-local state.
    unsafe { pg_sys::XactReadOnly || pg_sys::RecoveryInProgress() }
}

/// Whether the procedure behind `call` was CALLed where it may commit.
pub fn may_commit(call: pg_sys::FunctionCallInfo) -> bool {
    // SAFETY: Postgres gives a procedure a CallContext, and any function a valid FunctionCallInfo.
    unsafe {
        let context = (*call).context;
        !context.is_null()
            && (*context).type_ == pg_sys::NodeTag::T_CallContext
            && !(*context.cast::<pg_sys::CallContext>()).atomic
    }
}

/// Ends the transaction of a procedure that `may_commit`, and opens the next, which has neither
/// snapshot nor xid until something asks for one.
pub fn commit() {
    // SAFETY: SPI_connect_ext and SPI_finish are paired; an error in between is cleaned up by
    // Postgres's abort. In an atomic context SPI_commit raises an error itself.
    unsafe {
        pg_sys::SPI_connect_ext(pg_sys::SPI_OPT_NONATOMIC as i32);
        pg_sys::SPI_commit();
        pg_sys::SPI_finish();
    }
}

/// Sleeps until `fd` is readable, the backend's latch is set or `most` has passed; returns whether
/// `fd` is readable. The caller then serves interrupts. Dies with the postmaster. `event` is what
/// pg_stat_activity calls it.
pub fn wait_readable(fd: Option<BorrowedFd<'_>>, most: Option<Duration>, event: &CStr) -> bool {
    let mut events = pg_sys::WL_LATCH_SET | pg_sys::WL_EXIT_ON_PM_DEATH;
    if fd.is_some() {
        events |= pg_sys::WL_SOCKET_READABLE;
    }
    if most.is_some() {
        events |= pg_sys::WL_TIMEOUT;
    }
    let event = wait_event(event);
    // SAFETY: MyLatch is this backend's own; `fd` outlives the call.
    unsafe {
        let happened = pg_sys::WaitLatchOrSocket(
            pg_sys::MyLatch,
            events as i32,
            fd.map_or(pg_sys::PGINVALID_SOCKET, |fd| fd.as_raw_fd()),
            most.map_or(-1, |most| most.as_millis() as std::ffi::c_long),
            event,
        );
        if happened & pg_sys::WL_LATCH_SET as i32 != 0 {
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
        happened & pg_sys::WL_SOCKET_READABLE as i32 != 0
    }
}

#[cfg(any(feature = "pg17", feature = "pg18"))]
fn wait_event(name: &CStr) -> u32 {
    // SAFETY: copies the name; one that is known already gets its number again.
    unsafe { pg_sys::WaitEventExtensionNew(name.as_ptr()) }
}

/// Before 17 all extensions share one.
#[cfg(not(any(feature = "pg17", feature = "pg18")))]
fn wait_event(_name: &CStr) -> u32 {
    pg_sys::PG_WAIT_EXTENSION
}

/// Puts cancels and timeouts off while `f`, which must be short and raise no error, runs.
pub fn without_interrupts<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: backend-local counter, as HOLD_INTERRUPTS() and RESUME_INTERRUPTS() use it; an error
    // would reset it to 0.
    unsafe { pg_sys::InterruptHoldoffCount += 1 };
    let result = f();
    // SAFETY: as above.
    unsafe { pg_sys::InterruptHoldoffCount -= 1 };
    result
}

/// When the client's statement began: the same for all that runs inside it.
pub fn statement_start() -> i64 {
    // SAFETY: reads backend-local state.
    unsafe { pg_sys::GetCurrentStatementStartTimestamp() }
}

/// Makes a misspelled setting of ours an error instead of a new one.
pub fn reserve_settings() {
    // SAFETY: a static C string.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"embedding_backfill".as_ptr()) }
}

/// Whether the client brought this setting along when it connected, and it is in force.
pub fn is_clients(setting: &CStr) -> bool {
    // SAFETY: what is found is Postgres's own record of a setting, which lives as long as the backend or
    // until the setting is defined anew; it is only read, at once.
    unsafe {
        let found = find_setting(setting);
        !found.is_null() && (*found).reset_source == pg_sys::GucSource::PGC_S_CLIENT
    }
}

#[cfg(not(feature = "pg15"))]
unsafe fn find_setting(name: &CStr) -> *mut pg_sys::config_generic {
    // SAFETY: a NUL-terminated name; nothing is made and no error raised where there is none.
    unsafe { pg_sys::find_option(name.as_ptr(), false, true, 0) }
}

#[cfg(feature = "pg15")]
unsafe fn find_setting(name: &CStr) -> *mut pg_sys::config_generic {
    // SAFETY: an array of so many records, each with a NUL-terminated name.
    unsafe {
        let all = pg_sys::get_guc_variables();
        (0..pg_sys::GetNumConfigOptions() as usize)
            .map(|place| *all.add(place))
            .find(|one| {
                let bytes = CStr::from_ptr((**one).name).to_bytes();
                bytes.eq_ignore_ascii_case(name.to_bytes())
            })
            .unwrap_or(std::ptr::null_mut())
    }
}

/// Frees the rows of the last cursor fetch, which Postgres would keep until the SPI session ends. To be
/// called when they have been copied out.
pub fn free_tuples() {
    // SAFETY: SPI_tuptable is null or what the last call returned; nulled, so it is freed once.
    unsafe {
        pg_sys::SPI_freetuptable(pg_sys::SPI_tuptable);
        pg_sys::SPI_tuptable = std::ptr::null_mut();
    }
}

/// Current and session user.
pub fn roles() -> (String, String) {
    // SAFETY: both exist as long as the session does; the names are palloc'd C strings.
    let name = |oid| unsafe { CStr::from_ptr(pg_sys::GetUserNameFromId(oid, false)) };
    // SAFETY: reads backend-local state.
    let (current, session) = unsafe { (pg_sys::GetUserId(), pg_sys::GetSessionUserId()) };
    let name = |oid| name(oid).to_string_lossy().into_owned();
    (name(current), name(session))
}

/// The part of the transaction that the session is in; the whole is 1.
pub fn subtransaction() -> u32 {
    // SAFETY: reads backend-local state.
    unsafe { pg_sys::GetCurrentSubTransactionId() }
}

/// Has the messages of `f`, which raises no error, come without the statement and the functions that they
/// come from: these may hold the user's texts.
pub fn without_context<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: backend-local pointers, put back below; Postgres takes null for "none".
    unsafe {
        let (context, statement) = (pg_sys::error_context_stack, pg_sys::debug_query_string);
        pg_sys::error_context_stack = std::ptr::null_mut();
        pg_sys::debug_query_string = std::ptr::null();
        let result = f();
        pg_sys::error_context_stack = context;
        pg_sys::debug_query_string = statement;
        result
    }
}
