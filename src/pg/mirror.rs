//! The mirror: rows that have a vector also in a collection of ChromaDB. What a call means is found out here;
//! `run` fills a collection with all rows of a table, `beside` with those that a backfill embeds.

pub mod beside;
mod key;
mod metadata;
mod removal;
mod report;
mod rows;
mod run;
mod text;

use std::time::Instant;

use pgrx::datum::Interval;
use pgrx::prelude::*;

use super::error::{Error, MirrorError};
use super::journal;
use super::limits;
use super::preflight;
use super::settings::{self, Chroma};
use super::survey::count;
use super::sys;
use super::target::{self, Call, Target};
use crate::chroma::place::{self, Place};
use crate::engine::mirror::Access;
use key::Key;
use metadata::Metadata;

pub use run::Mirroring;

/// The rows of a call, and what of them goes out.
pub struct Source {
    pub target: Target,
    key: Key,
    metadata: Metadata,
}

impl Source {
    /// SQL of type boolean: true for the rows that the collection is to hold.
    fn rows(&self) -> String {
        let Target { column, filter, .. } = &self.target;
        format!("{} IS NOT NULL AND {filter}", column.sql)
    }
}

/// What the collection of a column says of itself: whose rows it holds. Other databases and servers may have a
/// table of the same name.
fn mark(target: &Target) -> Result<String, Error> {
    let database = sys::with_pinned_search_path(|| {
        Spi::connect(|client| {
            let statement = "SELECT quote_ident(current_database())";
            client
                .select(statement, None, &[])?
                .first()
                .get_one::<String>()
        })
    })?;
    Ok(format!(
        "{}.{} of {} at {}",
        target.relation,
        target.column.sql,
        database.unwrap_or_default(),
        sys::system_identifier()
    ))
}

/// The name that a call gives, if it is one.
fn collection_named(name: Option<String>) -> Result<String, Error> {
    match name {
        Some(name) if place::is_name(&name) => Ok(name),
        name => Err(MirrorError::Collection { name }.into()),
    }
}

fn access(
    chroma: Chroma,
    collection: &str,
    target: &Target,
    keys: Vec<String>,
) -> Result<Access, Error> {
    Ok(Access {
        client: chroma.client,
        token: chroma.token,
        place: Place {
            tenant: chroma.tenant,
            database: chroma.database,
            collection: collection.to_owned(),
        },
        mark: mark(target)?,
        dimensions: target.dimensions,
        keys,
        max_attempts: chroma.max_attempts,
    })
}

/// The arguments of a call that a backfill's has not.
pub struct Arguments {
    pub collection: Option<String>,
    pub key: Option<String>,
    pub metadata: Option<Vec<Option<String>>>,
    pub batch: Option<i32>,
    pub max_duration: Option<Interval>,
}

/// A call that may begin.
pub struct Ready {
    pub source: Source,
    collection: String,
    batch: usize,
    pub deadline: Option<Instant>,
    chroma: Chroma,
}

/// All that can be checked before anything is read or sent.
pub fn check(call: &Call, arguments: Arguments) -> Result<Ready, Error> {
    preflight::writable(journal::MIRROR)?;
    preflight::utf8()?;
    let collection = collection_named(arguments.collection)?;
    let batch = match arguments.batch {
        Some(batch @ 1..=10_000) => batch as usize,
        value => return Err(MirrorError::Batch { value }.into()),
    };
    let deadline = limits::deadline(arguments.max_duration)?;
    let target = target::resolve(call)?;
    let key = match &arguments.key {
        Some(text) => Key::expression(text)?,
        None => Key::primary(&target, false)?,
    };
    let metadata = Metadata::of(target.oid, &target.label, arguments.metadata)?;
    preflight::expressions(&target, &[("key", &key.sql), ("metadata", &metadata.sql)])?;
    Ok(Ready {
        source: Source {
            target,
            key,
            metadata,
        },
        collection,
        batch,
        deadline,
        chroma: settings::chroma()?,
    })
}

/// How many rows there are to mirror.
fn pending(source: &Source) -> Result<u64, Error> {
    let mut pending = 0;
    for leaf in 0..source.target.leaves.len() {
        let statement = format!(
            "SELECT pg_catalog.count(*) {} AND {}",
            source.target.rows_of(leaf),
            source.rows()
        );
        let rows = Spi::connect(|client| {
            client
                .select(&statement, None, &[])?
                .first()
                .get_one::<i64>()
        })?;
        pending += count(rows);
    }
    Ok(pending)
}
