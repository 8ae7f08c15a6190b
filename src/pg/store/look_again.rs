//! What triggers have left of an update. Those that come after it have not come yet when it returns its rows.

use std::collections::HashMap;

use pgrx::itemptr::item_pointer_to_u64;
use pgrx::pg_sys::{ItemPointerData, Oid};
use pgrx::prelude::*;

use super::Place;
use super::obstacle::Obstacle;
use crate::pg::error::Error;
use crate::pg::journal::as_owner;
use crate::pg::sys;
use crate::pg::target::Target;

const KEPT: &str = "a trigger changes the content and keeps the vector of what it was";

/// A row as an update has left it.
pub struct Left {
    ctid: ItemPointerData,
    pub md5: String,
    pub has_vector: bool,
}

impl Left {
    /// What is read of the row.
    pub fn columns(target: &Target) -> String {
        format!(
            "{alias}.ctid, pg_catalog.md5({content}), {alias}.{column} IS NOT NULL",
            alias = target.alias,
            content = target.content,
            column = target.column.sql
        )
    }

    pub fn of(row: &spi::SpiHeapTupleData<'_>) -> Result<Option<Left>, Error> {
        let Some(ctid) = row.get(1)? else {
            return Ok(None);
        };
        Ok(Some(Left {
            ctid,
            md5: row.get(2)?.unwrap_or_default(),
            has_vector: row.get(3)?.unwrap_or_default(),
        }))
    }

    pub fn place(self, leaf: usize) -> Place {
        Place {
            leaf,
            ctid: self.ctid,
            md5: self.md5,
        }
    }
}

/// Where a trigger has updated its own row once more, it is at another place now. Rows that are gone
/// from the leaf stay as the update returned them.
pub fn look_again(
    target: &Target,
    leaf: usize,
    left: &mut HashMap<u64, Left>,
) -> Result<(), Error> {
    let last = last_places(target.leaves[leaf].oid, left)?;
    let ctids: Vec<ItemPointerData> = last.iter().map(|(_, ctid)| *ctid).collect();
    let statement = format!(
        "SELECT {} {} AND {}.ctid OPERATOR(pg_catalog.=) ANY ($1)",
        Left::columns(target),
        target.rows_of(leaf),
        target.alias
    );
    let mut now = HashMap::with_capacity(last.len());
    Spi::connect_mut(|client| {
        let arguments = [ctids.into()];
        let plan = target.plans.of(client, &statement, &arguments)?;
        for row in client.update(&*plan, None, &arguments)? {
            now.extend(Left::of(&row)?.map(|row| (item_pointer_to_u64(row.ctid), row)));
        }
        Ok::<_, Error>(())
    })?;
    for (key, ctid) in last {
        if let Some(now) = now.remove(&item_pointer_to_u64(ctid)) {
            left.insert(key, now);
        }
    }
    Ok(())
}

/// Postgres follows a row's versions for those who may read the whole table; nothing of the row is read here.
fn last_places(
    table: Oid,
    left: &HashMap<u64, Left>,
) -> Result<Vec<(u64, ItemPointerData)>, Error> {
    let keys = left.keys().copied();
    let ctids: Vec<ItemPointerData> = left.values().map(|row| row.ctid).collect();
    let last: Vec<ItemPointerData> = as_owner(|| {
        Spi::connect_mut(|client| {
            client
                .update(
                    "SELECT currtid2($1::regclass::text, place)
                     FROM unnest($2) WITH ORDINALITY AS row (place, number) ORDER BY number",
                    None,
                    &[table.into(), ctids.into()],
                )?
                .filter_map(|row| row.get::<ItemPointerData>(1).transpose())
                .map(|ctid| Ok(ctid?))
                .collect()
        })
    })?;
    Ok(keys.zip(last).collect())
}

/// A vector that is not of the content that stands beside it now. What comes `after` updates has a say in
/// this one, too.
pub fn take_back(target: &Target, place: &Place, after: bool) -> Result<Place, Obstacle> {
    let (source, within) = target.reach(place.leaf);
    let statement = format!(
        "UPDATE {source} AS {alias} SET {column} = NULL
         WHERE {within} AND {alias}.ctid OPERATOR(pg_catalog.=) $1
         RETURNING {columns}",
        alias = target.alias,
        column = target.column.sql,
        columns = Left::columns(target),
    );
    let mut left = HashMap::new();
    Spi::connect_mut(|client| {
        for row in client.update(&statement, None, &[place.ctid.into()])? {
            left.extend(Left::of(&row)?.map(|now| (item_pointer_to_u64(place.ctid), now)));
        }
        Ok::<_, Error>(())
    })?;
    if after {
        look_again(target, place.leaf, &mut left)?;
    }
    match left.into_values().next() {
        Some(left) if !left.has_vector => Ok(left.place(place.leaf)),
        // Nothing of its update may stay, then.
        _ => Err(Obstacle::Refused(KEPT.to_owned())),
    }
}

/// What is deferred to the commit comes with the update that it is about: what a trigger refuses there is refused
/// for its row, and not for the run.
pub fn constraints_at_once(table: Oid) -> Result<(), Error> {
    let statement = sys::with_pinned_search_path(|| {
        Spi::connect(|client| {
            client
                .select(
                    "SELECT 'SET CONSTRAINTS ' || string_agg(format('%I.%I', n.nspname, c.conname), ', ')
                                || ' IMMEDIATE'
                     FROM pg_trigger t
                     JOIN pg_constraint c ON c.oid = t.tgconstraint
                     JOIN pg_namespace n ON n.oid = c.connamespace
                     WHERE t.tgrelid = $1 AND t.tginitdeferred AND NOT t.tgisinternal",
                    None,
                    &[table.into()],
                )?
                .first()
                .get_one::<String>()
        })
    })?;
    match statement {
        Some(statement) => {
            Spi::connect_mut(|client| client.update(&statement, None, &[]).map(drop))?;
            Ok(())
        }
        None => Ok(()),
    }
}
