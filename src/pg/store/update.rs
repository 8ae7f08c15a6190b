//! The UPDATE itself, and a look at what became of the rows where the table has a say in that.

use std::collections::HashMap;

use pgrx::datum::DatumWithOid;
use pgrx::itemptr::item_pointer_to_u64;
use pgrx::pg_sys::ItemPointerData;
use pgrx::prelude::*;

use super::look_again::{Left, constraints_at_once, look_again, take_back};
use super::obstacle::Obstacle;
use super::{Made, Written};
use crate::pg::error::Error;
use crate::pg::sys::{self, Say};
use crate::pg::target::Target;
use crate::pg::vector_type::VectorArray;

const CLEARED: &str = "a trigger takes the vector away at each update";

/// To rows that are locked and unchanged. `ours` is a run's own transaction.
pub fn write(
    target: &Target,
    leaf: usize,
    rows: &[&Made],
    ours: bool,
    written: &mut Written,
) -> Result<(), Obstacle> {
    if rows.is_empty() {
        return Ok(());
    }
    let say = say(target, leaf);
    if ours && say.at_commit {
        constraints_at_once(target.leaves[leaf].oid)?;
    }
    if !is_looked_at(target, say) {
        // Nothing comes between: all of these are free and unchanged.
        written.rows += update(target, leaf, rows, say, |_| Ok(()))?;
        return Ok(());
    }
    let mut left = HashMap::with_capacity(rows.len());
    update(target, leaf, rows, say, |row| {
        if let (Some(now), Some(was)) = (Left::of(row)?, row.get(4)?) {
            left.insert(item_pointer_to_u64(was), now);
        }
        Ok(())
    })?;
    if say.after {
        look_again(target, leaf, &mut left)?;
    }
    for (place, _) in rows {
        let place = place.clone();
        let Some(now) = left.remove(&item_pointer_to_u64(place.ctid)) else {
            written.vetoed.push(place);
            continue;
        };
        let (has_vector, is_changed) = (now.has_vector, now.md5 != place.md5);
        let now = now.place(leaf);
        match (has_vector, is_changed) {
            (true, false) => written.rows += 1,
            (false, false) => written.refused.push((now, CLEARED.to_owned())),
            // This vector is not its own any more.
            (true, true) => written
                .changed
                .push((place, take_back(target, &now, say.after)?)),
            (false, true) => written.changed.push((place, now)),
        }
    }
    Ok(())
}

/// Returns how many rows were updated, and hands out each where it `is_looked_at`.
fn update(
    target: &Target,
    leaf: usize,
    rows: &[&Made],
    say: Say,
    mut take: impl FnMut(&spi::SpiHeapTupleData<'_>) -> Result<(), Error>,
) -> Result<usize, Error> {
    let statement = update_statement(target, leaf, say);
    let ctids = rows.iter().map(|(place, _)| place.ctid).collect();
    let vectors: Vec<&[f32]> = rows.iter().map(|(_, vector)| &vector[..]).collect();
    Spi::connect_mut(|client| {
        // In here, so that their copies are freed with the connection, not with the whole step.
        let parameters = parameters(ctids, &vectors);
        let plan = target.plans.of(client, &statement, &parameters)?;
        let updated = client.update(&*plan, None, &parameters)?;
        let count = updated.len();
        for row in updated {
            take(&row)?;
        }
        Ok(count)
    })
}

/// Of the leaf and, where it is reached through it, the relation.
fn say(target: &Target, leaf: usize) -> Say {
    let leaf = sys::say_in_updates(target.leaves[leaf].oid);
    let relation = sys::say_in_updates(target.oid);
    Say {
        during: leaf.during || relation.during,
        after: leaf.after || relation.after,
        at_commit: leaf.at_commit,
    }
}

fn is_looked_at(target: &Target, say: Say) -> bool {
    target.row_security || say.during || say.after
}

/// What writes to a leaf, with parameters as `no_rows` has them.
pub fn statement(target: &Target, leaf: usize) -> String {
    update_statement(target, leaf, say(target, leaf))
}

/// Sets the vectors `$2` at the ctids `$1`. The names of the joined columns are such that no column
/// of the user's can be meant.
fn update_statement(target: &Target, leaf: usize, say: Say) -> String {
    let (source, within) = target.reach(leaf);
    let returning = match is_looked_at(target, say) {
        true => format!(
            " RETURNING {}, \"embedding_backfill ctid\"",
            Left::columns(target)
        ),
        false => String::new(),
    };
    format!(
        "UPDATE {source} AS {alias}
         SET {column} = \"embedding_backfill vector\"
         FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS \"embedding_backfill new\"
              (\"embedding_backfill ctid\", \"embedding_backfill vector\")
         WHERE {alias}.ctid OPERATOR(pg_catalog.=) \"embedding_backfill ctid\"
           AND {alias}.{column} IS NULL AND {within}{returning}",
        alias = target.alias,
        column = target.column.sql,
    )
}

/// Parameters for `statement` that touch nothing.
pub fn no_rows() -> [DatumWithOid<'static>; 2] {
    parameters(Vec::new(), &[])
}

fn parameters(ctids: Vec<ItemPointerData>, vectors: &[&[f32]]) -> [DatumWithOid<'static>; 2] {
    [ctids.into(), VectorArray::from(vectors).into()]
}
