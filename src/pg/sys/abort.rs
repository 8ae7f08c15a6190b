//! What is to happen when a transaction, or a part of one, aborts.

use pgrx::pg_sys;

/// Calls `callback` at each abort of a transaction in this backend, from inside the abort: it may
/// only drop memory, never raise an error or run a query.
pub fn on_abort(callback: fn()) {
    // SAFETY: `at_transaction_end` has the signature Postgres asks for, and the library is never
    // unloaded; a function pointer fits the argument.
    unsafe { pg_sys::RegisterXactCallback(Some(at_transaction_end), callback as *mut _) }
}

// SAFETY: Postgres calls it with what was registered with it.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_transaction_end(
    event: pg_sys::XactEvent::Type,
    callback: *mut core::ffi::c_void,
) {
    if event == pg_sys::XactEvent::XACT_EVENT_ABORT {
        // SAFETY: `on_abort` put a `fn()` there.
        let callback: fn() = unsafe { std::mem::transmute(callback) };
        callback();
    }
}

/// Calls `callback` at each abort of a transaction, and with its number of a part of one, under the
/// conditions of `on_abort`; it may log.
pub fn on_abort_of_any(callback: fn(Option<u32>)) {
    // SAFETY: as in `on_abort`.
    unsafe {
        pg_sys::RegisterXactCallback(Some(at_abort_of_all), callback as *mut _);
        pg_sys::RegisterSubXactCallback(Some(at_abort_of_part), callback as *mut _);
    }
}

// SAFETY: Postgres calls it with what was registered with it.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_abort_of_all(
    event: pg_sys::XactEvent::Type,
    callback: *mut core::ffi::c_void,
) {
    if event == pg_sys::XactEvent::XACT_EVENT_ABORT {
        // SAFETY: `on_abort_of_any` put a `fn(Option<u32>)` there.
        let callback: fn(Option<u32>) = unsafe { std::mem::transmute(callback) };
        callback(None);
    }
}

// SAFETY: as above.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_abort_of_part(
    event: pg_sys::SubXactEvent::Type,
    part: pg_sys::SubTransactionId,
    _whole: pg_sys::SubTransactionId,
    callback: *mut core::ffi::c_void,
) {
    if event == pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB {
        // SAFETY: as above.
        let callback: fn(Option<u32>) = unsafe { std::mem::transmute(callback) };
        callback(Some(part));
    }
}
