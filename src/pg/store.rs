//! Writing vectors: one UPDATE a batch, only where the row has none yet and still has the content
//! that its vector was made from.

use std::collections::{BTreeMap, HashMap};

use pgrx::PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE;
use pgrx::datum::DatumWithOid;
use pgrx::itemptr::item_pointer_to_u64;
use pgrx::pg_sys::ItemPointerData;
use pgrx::prelude::*;

use super::error::Error;
use super::leaves::Leaf;
use super::sys;
use super::target::Target;
use super::vector_type::VectorArray;

/// Where a row was when its content was read, and what that content was.
#[derive(Debug, Clone)]
pub struct Place {
    /// Index into the target's leaves.
    pub leaf: usize,
    pub ctid: ItemPointerData,
    /// Of the content, by Postgres's md5().
    pub md5: String,
}

impl Place {
    pub fn key(&self) -> (usize, u64) {
        key(self.leaf, self.ctid)
    }
}

pub fn key(leaf: usize, ctid: ItemPointerData) -> (usize, u64) {
    (leaf, item_pointer_to_u64(ctid))
}

/// A row and the vector made from its content.
pub type Made = (Place, Vec<f32>);

#[derive(Default)]
pub struct Written {
    pub rows: usize,
    /// Rows that a trigger or a policy kept from taking their vector.
    pub vetoed: Vec<Place>,
    /// Rows whose content a trigger changed while they took their vector, which was taken back: where
    /// they were, and where and what they are now.
    pub changed: Vec<(Place, Place)>,
    /// Rows that somebody else has locked; unchanged so far.
    pub locked: Vec<Made>,
}

/// Locks the rows first, and writes to those that nobody else has locked and nobody has changed.
pub fn write_unchanged(target: &Target, rows: Vec<Made>) -> Result<Written, Error> {
    let mut written = Written::default();
    for (leaf, rows) in by_leaf(rows) {
        let Some(found) = look_and_lock(target, leaf, &rows)? else {
            written.locked.extend(rows);
            continue;
        };
        let unchanged = |found: &HashMap<u64, String>, place: &Place| {
            found.get(&item_pointer_to_u64(place.ctid)) == Some(&place.md5)
        };
        let (free, others): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|(place, _)| unchanged(&found, place));
        if !others.is_empty() {
            // What can be seen unchanged and could not be locked is in somebody else's hands.
            let found = look(target, leaf, &others, "")?;
            let locked = others
                .into_iter()
                .filter(|(place, _)| unchanged(&found, place));
            written.locked.extend(locked);
        }
        write_to_leaf(target, leaf, free, &mut written)?;
    }
    Ok(written)
}

/// Writes to rows that this transaction has locked.
pub fn write(target: &Target, rows: Vec<Made>) -> Result<Written, Error> {
    let mut written = Written::default();
    for (leaf, rows) in by_leaf(rows) {
        write_to_leaf(target, leaf, rows, &mut written)?;
    }
    Ok(written)
}

fn by_leaf(rows: Vec<Made>) -> BTreeMap<usize, Vec<Made>> {
    let mut leaves: BTreeMap<usize, Vec<Made>> = BTreeMap::new();
    for (place, vector) in rows {
        leaves.entry(place.leaf).or_default().push((place, vector));
    }
    leaves
}

/// None where a row went to another partition at this very moment: Postgres has an error for that (40001), and not
/// just another place as for rows that move within a table.
fn look_and_lock(
    target: &Target,
    leaf: usize,
    rows: &[Made],
) -> Result<Option<HashMap<u64, String>>, Error> {
    let look = || look(target, leaf, rows, &target.lock());
    match target.leaves.len() {
        1 => look().map(Some),
        _ => sys::unless(ERRCODE_T_R_SERIALIZATION_FAILURE, look).transpose(),
    }
}

/// The md5 of the content now, by place, of those rows that still have no vector. A row that moved
/// comes back at its new place, which is none of ours.
fn look(
    target: &Target,
    leaf: usize,
    rows: &[Made],
    lock: &str,
) -> Result<HashMap<u64, String>, Error> {
    let ctids: Vec<ItemPointerData> = rows.iter().map(|(place, _)| place.ctid).collect();
    let statement = format!(
        "SELECT ctid, pg_catalog.md5({content}) {from}
           AND ctid OPERATOR(pg_catalog.=) ANY ($1) AND {column} IS NULL {lock}",
        content = target.content,
        column = target.column.sql,
        from = target.rows_of(leaf),
    );
    Spi::connect_mut(|client| {
        let mut found = HashMap::with_capacity(ctids.len());
        let arguments = [ctids.into()];
        let plan = target.plans.of(client, &statement, &arguments)?;
        for row in client.update(&*plan, None, &arguments)? {
            if let (Some(ctid), Some(md5)) = (row.get(1)?, row.get(2)?) {
                found.insert(item_pointer_to_u64(ctid), md5);
            }
        }
        Ok(found)
    })
}

fn write_to_leaf(
    target: &Target,
    leaf: usize,
    rows: Vec<Made>,
    written: &mut Written,
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let statement = update_statement(target, leaf);
    if !target.row_security && sys::takes_what_it_is_given(target.leaves[leaf].oid) {
        // Nothing comes between: all of these are free and unchanged.
        written.rows += update(target, &statement, rows)?;
        return Ok(());
    }
    write_and_look(target, leaf, &statement, rows, written)
}

fn update(target: &Target, statement: &str, rows: Vec<Made>) -> Result<usize, Error> {
    let (places, vectors): (Vec<Place>, Vec<Vec<f32>>) = rows.into_iter().unzip();
    let ctids = places.iter().map(|place| place.ctid).collect();
    Spi::connect_mut(|client| {
        // In here, so that their copies are freed with the connection, not with the whole step.
        let parameters = parameters(ctids, vectors);
        let plan = target.plans.of(client, statement, &parameters)?;
        Ok(client.update(&*plan, None, &parameters)?.len())
    })
}

/// Where a trigger or a policy has a say: looks at what became of each row.
fn write_and_look(
    target: &Target,
    leaf: usize,
    statement: &str,
    rows: Vec<Made>,
    written: &mut Written,
) -> Result<(), Error> {
    let statement = format!(
        "{statement} RETURNING \"embedding_backfill ctid\", {}.ctid, pg_catalog.md5({})",
        target.alias, target.content
    );
    let (places, vectors): (Vec<Place>, Vec<Vec<f32>>) = rows.into_iter().unzip();
    let ctids = places.iter().map(|place| place.ctid).collect();
    let mut taken: HashMap<u64, (ItemPointerData, String)> = HashMap::new();
    Spi::connect_mut(|client| {
        let parameters = parameters(ctids, vectors);
        let plan = target.plans.of(client, &statement, &parameters)?;
        for row in client.update(&*plan, None, &parameters)? {
            if let (Some(old), Some(new)) = (row.get(1)?, row.get(2)?) {
                let md5 = row.get::<String>(3)?.unwrap_or_default();
                taken.insert(item_pointer_to_u64(old), (new, md5));
            }
        }
        Ok::<_, Error>(())
    })?;
    for place in places {
        match taken.remove(&item_pointer_to_u64(place.ctid)) {
            Some((_, md5)) if md5 == place.md5 => written.rows += 1,
            // This vector is not its own any more.
            Some((new, _)) => {
                if let Some(now) = take_back(target, leaf, new)? {
                    written.changed.push((place, now));
                }
            }
            None => written.vetoed.push(place),
        }
    }
    Ok(())
}

fn take_back(target: &Target, leaf: usize, ctid: ItemPointerData) -> Result<Option<Place>, Error> {
    let Leaf { source, within, .. } = &target.leaves[leaf];
    let statement = format!(
        "UPDATE {source} AS {alias} SET {column} = NULL
         WHERE {within} AND {alias}.ctid OPERATOR(pg_catalog.=) $1
         RETURNING {alias}.ctid, pg_catalog.md5({content})",
        alias = target.alias,
        column = target.column.sql,
        content = target.content,
    );
    Spi::connect_mut(|client| {
        for row in client.update(&statement, None, &[ctid.into()])? {
            if let (Some(ctid), Some(md5)) = (row.get(1)?, row.get(2)?) {
                return Ok(Some(Place { leaf, ctid, md5 }));
            }
        }
        Ok(None)
    })
}

/// Sets the vectors `$2` at the ctids `$1`. The names of the joined columns are such that no column
/// of the user's can be meant.
pub fn update_statement(target: &Target, leaf: usize) -> String {
    let Leaf { source, within, .. } = &target.leaves[leaf];
    format!(
        "UPDATE {source} AS {alias}
         SET {column} = \"embedding_backfill vector\"
         FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS \"embedding_backfill new\"
              (\"embedding_backfill ctid\", \"embedding_backfill vector\")
         WHERE {alias}.ctid OPERATOR(pg_catalog.=) \"embedding_backfill ctid\"
           AND {alias}.{column} IS NULL AND {within}",
        alias = target.alias,
        column = target.column.sql,
    )
}

/// Parameters for `update_statement` that touch nothing.
pub fn no_rows() -> [DatumWithOid<'static>; 2] {
    parameters(Vec::new(), Vec::new())
}

fn parameters(ctids: Vec<ItemPointerData>, vectors: Vec<Vec<f32>>) -> [DatumWithOid<'static>; 2] {
    [ctids.into(), VectorArray::from(vectors).into()]
}
