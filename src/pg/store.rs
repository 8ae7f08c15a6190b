//! Writing vectors: one UPDATE a batch, only where the row has none yet and still has the content
//! that its vector was made from.

use std::collections::HashMap;

use pgrx::datum::DatumWithOid;
use pgrx::itemptr::item_pointer_to_u64;
use pgrx::pg_sys::ItemPointerData;
use pgrx::prelude::*;

use super::error::Error;
use super::target::{Leaf, Target};
use super::vector_type::Vector;

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

#[derive(Default)]
pub struct Written {
    pub rows: usize,
    /// Rows that a trigger or a policy kept from taking their vector.
    pub vetoed: Vec<Place>,
}

/// Writes to rows that this transaction has locked.
pub fn write(
    target: &Target,
    places: Vec<Place>,
    vectors: Vec<Vec<f32>>,
) -> Result<Written, Error> {
    let mut by_leaf: HashMap<usize, Vec<(Place, Vec<f32>)>> = HashMap::new();
    for (place, vector) in places.into_iter().zip(vectors) {
        by_leaf.entry(place.leaf).or_default().push((place, vector));
    }
    let mut written = Written::default();
    for (leaf, rows) in by_leaf {
        let statement = format!(
            "{} RETURNING \"embedding_backfill ctid\"",
            update_statement(target, leaf)
        );
        let (mut places, vectors): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let ctids = places.iter().map(|place| place.ctid).collect();
        let parameters = parameters(ctids, vectors);
        let taken = Spi::connect_mut(|client| {
            client
                .update(&statement, None, &parameters)?
                .filter_map(|row| row.get::<ItemPointerData>(1).transpose())
                .map(|ctid| Ok(item_pointer_to_u64(ctid?)))
                .collect::<Result<Vec<u64>, Error>>()
        })?;
        written.rows += taken.len();
        if taken.len() < places.len() {
            places.retain(|place| !taken.contains(&item_pointer_to_u64(place.ctid)));
            written.vetoed.extend(places);
        }
    }
    Ok(written)
}

/// Locks the rows first, and writes to those that nobody else has locked and nobody has changed.
pub fn write_unchanged(
    target: &Target,
    places: Vec<Place>,
    vectors: Vec<Vec<f32>>,
) -> Result<Written, Error> {
    let mut unchanged = Vec::with_capacity(places.len());
    let mut kept = Vec::with_capacity(places.len());
    let mut locked: HashMap<(usize, u64), String> = HashMap::new();
    let mut leaves: Vec<usize> = places.iter().map(|place| place.leaf).collect();
    leaves.dedup();
    for leaf in leaves {
        let ctids = places.iter().filter(|place| place.leaf == leaf);
        locked.extend(lock(target, leaf, ctids.map(|place| place.ctid).collect())?);
    }
    for (place, vector) in places.into_iter().zip(vectors) {
        // A row that moved meanwhile was locked at its new place, which is none of ours.
        if locked.get(&place.key()) == Some(&place.md5) {
            unchanged.push(place);
            kept.push(vector);
        }
    }
    write(target, unchanged, kept)
}

/// Locks those of `ctids` that still have no vector; returns the md5 of their content now.
fn lock(
    target: &Target,
    leaf: usize,
    ctids: Vec<ItemPointerData>,
) -> Result<HashMap<(usize, u64), String>, Error> {
    let statement = format!(
        "SELECT ctid, pg_catalog.md5({content}) {from}
           AND ctid OPERATOR(pg_catalog.=) ANY ($1) AND {column} IS NULL {lock}",
        content = target.content,
        column = target.column.sql,
        from = target.rows_of(leaf),
        lock = target.lock(),
    );
    Spi::connect_mut(|client| {
        let mut locked = HashMap::with_capacity(ctids.len());
        for row in client.update(&statement, None, &[ctids.into()])? {
            if let (Some(ctid), Some(md5)) = (row.get(1)?, row.get(2)?) {
                locked.insert(key(leaf, ctid), md5);
            }
        }
        Ok(locked)
    })
}

/// Sets the vectors `$2` at the ctids `$1`. The names of the joined columns are such that no column
/// of the user's can be meant.
pub fn update_statement(target: &Target, leaf: usize) -> String {
    let Leaf { source, within } = &target.leaves[leaf];
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
    let vectors: Vec<Vector> = vectors.into_iter().map(Vector::from).collect();
    [ctids.into(), vectors.into()]
}
