//! Relations, as this backend has them open.

use pgrx::pg_sys;

/// Keeps others from changing or dropping a relation until the transaction ends, as an UPDATE does.
pub fn lock_relation(oid: pg_sys::Oid) {
    // SAFETY: takes any OID; one that is gone is locked all the same.
    unsafe { pg_sys::LockRelationOid(oid, pg_sys::RowExclusiveLock as i32) }
}

/// Whether nothing of the table's own, such as a trigger, has a say in what an UPDATE writes. Locked as above, so
/// that it stays so.
pub fn takes_what_it_is_given(oid: pg_sys::Oid) -> bool {
    // SAFETY: null where the relation is gone, else open until it is closed below, with what it points to.
    unsafe {
        let relation = pg_sys::try_relation_open(oid, pg_sys::RowExclusiveLock as i32);
        let Some(open) = relation.as_ref() else {
            return false;
        };
        let triggers = open.trigdesc.as_ref();
        let constraints = open.rd_att.as_ref().and_then(|row| row.constr.as_ref());
        let plain = !triggers.is_some_and(|triggers| triggers.trig_update_before_row)
            && !constraints.is_some_and(|constraints| constraints.has_generated_stored)
            && open.rd_rules.is_null();
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        plain
    }
}
