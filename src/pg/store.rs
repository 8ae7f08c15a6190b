//! Writing vectors: one UPDATE a batch, only where the row has none yet and still has the content
//! that its vector was made from.

mod look_again;
mod obstacle;
mod update;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use pgrx::itemptr::item_pointer_to_u64;
use pgrx::pg_sys::ItemPointerData;
use pgrx::prelude::*;

use super::error::Error;
use super::sys;
use super::target::Target;
use obstacle::Obstacle;

pub use update::{no_rows, statement};

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
    /// Rows that can't have their vector, where they are, and why.
    pub refused: Vec<(Place, String)>,
    /// Rows whose content a trigger changed while they took their vector, which was taken back: where
    /// they were, and where and what they are now.
    pub changed: Vec<(Place, Place)>,
    /// Rows that somebody else has locked; unchanged so far.
    pub locked: Vec<Made>,
}

impl Written {
    fn add(&mut self, more: Written) {
        self.rows += more.rows;
        self.vetoed.extend(more.vetoed);
        self.refused.extend(more.refused);
        self.changed.extend(more.changed);
        self.locked.extend(more.locked);
    }
}

/// Locks the rows first, and writes to those that nobody else has locked and nobody has changed. The
/// transaction is a run's own.
pub fn write_unchanged(target: &Target, rows: Vec<Made>) -> Result<Written, Error> {
    write_by_leaf(target, rows, true)
}

/// Writes to rows that this transaction, which is the caller's, has locked.
pub fn write(target: &Target, rows: Vec<Made>) -> Result<Written, Error> {
    write_by_leaf(target, rows, false)
}

fn write_by_leaf(target: &Target, rows: Vec<Made>, ours: bool) -> Result<Written, Error> {
    let mut leaves: BTreeMap<usize, Vec<Made>> = BTreeMap::new();
    for (place, vector) in rows {
        leaves.entry(place.leaf).or_default().push((place, vector));
    }
    let mut written = Written::default();
    for (leaf, rows) in leaves {
        write_to_leaf(target, leaf, rows, ours, &mut written)?;
    }
    Ok(written)
}

/// Halves what is refused until the row that it is refused for is alone: what is paid for is not lost for it.
fn write_to_leaf(
    target: &Target,
    leaf: usize,
    mut rows: Vec<Made>,
    ours: bool,
    written: &mut Written,
) -> Result<(), Error> {
    let locking = Cell::new(ours);
    // The locks are taken in there, too: an update in another part of the transaction than its lock's makes a multixact.
    let done = sys::attempt(
        || {
            let mut done = Written::default();
            let free = match ours {
                true => lock(target, leaf, &rows, &mut done)?,
                false => rows.iter().collect(),
            };
            locking.set(false);
            update::write(target, leaf, &free, ours, &mut done)?;
            Ok(done)
        },
        |report| match locking.get() {
            true => Obstacle::to_lock(report),
            false => Obstacle::to_update(report),
        },
    );
    match done {
        Ok(done) => written.add(done),
        Err(Obstacle::Failed(error)) => return Err(error),
        Err(Obstacle::Moved) => written.locked.extend(rows),
        Err(Obstacle::Refused(reason)) if rows.len() == 1 => {
            let places = rows.into_iter().map(|(place, _)| place);
            written.refused.extend(places.zip([reason]));
        }
        Err(Obstacle::Refused(_)) => {
            let others = rows.split_off(rows.len() / 2);
            write_to_leaf(target, leaf, rows, ours, written)?;
            write_to_leaf(target, leaf, others, ours, written)?;
        }
    }
    Ok(())
}

/// Those that are locked now and as they were; what others have in hand is noted.
fn lock<'a>(
    target: &Target,
    leaf: usize,
    rows: &'a [Made],
    written: &mut Written,
) -> Result<Vec<&'a Made>, Error> {
    let found = look(target, leaf, rows.iter(), &target.lock())?;
    let unchanged = |found: &HashMap<u64, String>, place: &Place| {
        found.get(&item_pointer_to_u64(place.ctid)) == Some(&place.md5)
    };
    let (free, others): (Vec<_>, Vec<_>) =
        rows.iter().partition(|(place, _)| unchanged(&found, place));
    if !others.is_empty() {
        // What can be seen unchanged and could not be locked is in somebody else's hands.
        let found = look(target, leaf, others.iter().copied(), "")?;
        let locked = others
            .into_iter()
            .filter(|(place, _)| unchanged(&found, place));
        written.locked.extend(locked.cloned());
    }
    Ok(free)
}

/// The md5 of the content now, by place, of those rows that still have no vector. A row that moved
/// comes back at its new place, which is none of ours.
fn look<'a>(
    target: &Target,
    leaf: usize,
    rows: impl Iterator<Item = &'a Made>,
    lock: &str,
) -> Result<HashMap<u64, String>, Error> {
    let ctids: Vec<ItemPointerData> = rows.map(|(place, _)| place.ctid).collect();
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
