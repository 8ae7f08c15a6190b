//! Relations, as this backend has them open.

use pgrx::pg_sys;

/// Keeps others from changing or dropping a relation until the transaction ends, as an UPDATE does.
pub fn lock_relation(oid: pg_sys::Oid) {
    // SAFETY: takes any OID; one that is gone is locked all the same.
    unsafe { pg_sys::LockRelationOid(oid, pg_sys::RowExclusiveLock as i32) }
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
