//! What statements see. Postgres's own take a snapshot when they have their locks; one that was taken before a wait
//! for a lock does not show what was waited for, and a table that was rewritten meanwhile looks empty to it.

use pgrx::pg_sys;

/// In force until dropped.
pub struct Snapshot(());

impl Snapshot {
    /// What is committed by now; where the transaction's isolation level says so, still what was when it began.
    pub fn newest() -> Snapshot {
        // SAFETY: copied, and kept for as long as it is active; an error leaves it to Postgres's abort, of the
        // transaction or the part of it that it was taken in.
        unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()) };
        Snapshot(())
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // On its way out an error may have left others above it.
        if !std::thread::panicking() {
            // SAFETY: whoever pushed another one since has popped it.
            unsafe { pg_sys::PopActiveSnapshot() }
        }
    }
}
