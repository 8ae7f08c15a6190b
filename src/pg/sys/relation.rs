//! Relations: their locks and names, and how this backend has them open. What is asked of them here is answered
//! out of Postgres's own caches, as its parser would, and not by what a snapshot from before the lock still shows.

use std::ffi::{CStr, c_char};

use pgrx::pg_sys;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;

// SAFETY: the signature is Postgres's, in catalog/pg_inherits.h.
unsafe extern "C-unwind" {
    /// Of partitions, too.
    fn typeInheritsFrom(subclass: pg_sys::Oid, superclass: pg_sys::Oid) -> bool;
}

/// Keeps others from changing or dropping a relation until the transaction ends, as an UPDATE does.
pub fn lock_relation(oid: pg_sys::Oid) {
    // SAFETY: takes any OID; one that is gone is locked all the same.
    unsafe { pg_sys::LockRelationOid(oid, pg_sys::RowExclusiveLock as i32) }
}

/// Keeps others from renaming, detaching or dropping a relation until the transaction ends, as a SELECT does.
pub fn lock_name(oid: pg_sys::Oid) {
    // SAFETY: as above.
    unsafe { pg_sys::LockRelationOid(oid, pg_sys::AccessShareLock as i32) }
}

/// Schema-qualified and quoted; none where the relation is gone.
pub fn name_of(oid: pg_sys::Oid) -> Option<String> {
    // SAFETY: takes any OID; each name is null or a palloc'd C string.
    unsafe {
        let name = pg_sys::get_rel_name(oid);
        if name.is_null() {
            return None;
        }
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(oid));
        text(pg_sys::quote_qualified_identifier(schema, name))
    }
}

/// Not quoted; of a dropped column Postgres's name for it, and none where the relation is gone.
pub fn column_name(oid: pg_sys::Oid, number: i16) -> Option<String> {
    // SAFETY: takes any numbers; null or a palloc'd C string.
    unsafe { text(pg_sys::get_attname(oid, number, true)) }
}

/// None where the relation or the column is gone.
pub fn column_typmod(oid: pg_sys::Oid, number: i16) -> Option<i32> {
    let mut found = (pg_sys::Oid::INVALID, -1, pg_sys::Oid::INVALID);
    let there = column_name(oid, number).is_some();
    // SAFETY: the column is there; it writes to where it is told, and frees what it looked at.
    there.then(|| unsafe {
        pg_sys::get_atttypetypmodcoll(oid, number, &mut found.0, &mut found.1, &mut found.2);
        found.1
    })
}

/// # Safety
/// `name` is null or a C string.
unsafe fn text(name: *const c_char) -> Option<String> {
    // SAFETY: it is not null where it is read.
    (!name.is_null()).then(|| {
        unsafe { CStr::from_ptr(name) }
            .to_string_lossy()
            .into_owned()
    })
}

/// Whether a table that is there, and locked, is a partition or a child of another, over however many levels.
pub fn is_below(table: pg_sys::Oid, parent: pg_sys::Oid) -> bool {
    // SAFETY: tables have a type of their own; the function is Postgres's, with this signature since long before 15.
    unsafe {
        let (table, parent) = (
            pg_sys::get_rel_type_id(table),
            pg_sys::get_rel_type_id(parent),
        );
        pg_guard_ffi_boundary(|| typeInheritsFrom(table, parent))
    }
}

/// Whether rows of it may move to another table.
pub fn is_partition(oid: pg_sys::Oid) -> bool {
    // SAFETY: takes any OID; one that is gone is none.
    unsafe { pg_sys::get_rel_relispartition(oid) }
}

/// What of a table's own has a say in what an UPDATE leaves behind.
#[derive(Clone, Copy)]
pub struct Say {
    /// It shows in what RETURNING returns.
    pub during: bool,
    /// It comes after that.
    pub after: bool,
    /// It comes at the commit, unless it is told to come at once.
    pub at_commit: bool,
}

/// The relation is locked as above, so that it stays so.
pub fn say_in_updates(oid: pg_sys::Oid) -> Say {
    // SAFETY: null where the relation is gone, else open until it is closed below, with what it points to.
    unsafe {
        let relation = pg_sys::try_relation_open(oid, pg_sys::RowExclusiveLock as i32);
        let Some(open) = relation.as_ref() else {
            return Say {
                during: true,
                after: false,
                at_commit: false,
            };
        };
        let constraints = open.rd_att.as_ref().and_then(|row| row.constr.as_ref());
        let generated = constraints.is_some_and(|constraints| constraints.has_generated_stored);
        let mut say = Say {
            during: generated || !open.rd_rules.is_null(),
            after: false,
            at_commit: false,
        };
        if let Some(triggers) = open.trigdesc.as_ref() {
            say.during |= triggers.trig_update_before_row;
            for place in 0..triggers.numtriggers as usize {
                let trigger = &*triggers.triggers.add(place);
                if comes_after_updates(trigger) {
                    say.after = true;
                    say.at_commit |= trigger.tginitdeferred;
                }
            }
        }
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        say
    }
}

/// Those of foreign keys, which are internal, write to no row of a table that is updated in other columns.
fn comes_after_updates(trigger: &pg_sys::Trigger) -> bool {
    let kind = trigger.tgtype as u32;
    !trigger.tgisinternal
        && trigger.tgenabled as u8 != pg_sys::TRIGGER_DISABLED
        && kind & pg_sys::TRIGGER_TYPE_UPDATE != 0
        && kind & pg_sys::TRIGGER_TYPE_TIMING_MASK == pg_sys::TRIGGER_TYPE_AFTER
}
