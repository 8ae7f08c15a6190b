//! What a call means: which table and leaves, which embedding column, which content. Everything is
//! looked up by OID and quoted by Postgres; nothing is sent or written here.

use std::ffi::CStr;

use pgrx::pg_sys::Oid;
use pgrx::prelude::*;

use super::columns::{self, Column};
use super::error::Error;
use super::expression;
use super::leaves::{self, Leaf};
use super::plans::Plans;
use super::sys::{self, Snapshot};
use super::vector_type::VectorTypes;

/// Makes a content text. Of the database's own collation, whatever its columns have: PostgreSQL matches no
/// pattern by a nondeterministic one, and compares nothing where two columns have different ones.
const AS_TEXT: &str = "::pg_catalog.text COLLATE pg_catalog.\"default\"";

/// Keeps our keys apart from those that other programs take: "EB" in the topmost bytes.
const LOCKS: i64 = 0x4542 << 48;

/// The arguments that embed_missing and embed_all_missing share.
#[derive(Debug)]
pub struct Call {
    pub relation: Oid,
    pub content: Option<String>,
    pub embedding_column: Option<String>,
    pub source_filter: Option<String>,
}

#[derive(Debug)]
pub struct Target {
    pub oid: Oid,
    /// As the caller would write it, for messages.
    pub label: String,
    /// Schema-qualified and quoted.
    pub relation: String,
    /// The relation's bare name, quoted: the alias under which each leaf is read, so that an
    /// expression may say `memory_logs.raw_data`.
    pub alias: String,
    pub column: Column,
    pub dimensions: u32,
    /// pgvector's schema, quoted.
    pub vector_schema: String,
    /// SQL of type text.
    pub content: String,
    /// The columns that make up the content, where the call left it to us.
    pub content_columns: Option<Vec<String>>,
    /// SQL of type boolean.
    pub filter: String,
    /// The tables that store rows: partitions, the relation itself, what inherits from it.
    pub leaves: Vec<Leaf>,
    /// Partitions that are foreign tables: nothing can be locked or written there.
    pub foreign: Vec<String>,
    /// Some rows that the caller can read may be closed to updates.
    pub row_security: bool,
    /// SQL of type jsonb: how to find a row again.
    pub row_key: String,
    /// Contents, by md5, that were refused before and are not sent again.
    pub rejected: Vec<String>,
    pub plans: Plans,
}

impl Target {
    /// Of the column's advisory lock.
    pub fn lock_key(&self) -> i64 {
        lock_key(self.oid, self.column.number)
    }

    /// The content for a person: the caller's own words, or the columns that were chosen.
    pub fn content_label(&self) -> String {
        match self.content_columns.as_deref() {
            Some([column]) => column.clone(),
            Some(columns) => format!("\"name: value\" lines of {}", columns.join(", ")),
            None => {
                let text = self.content.strip_suffix(AS_TEXT);
                let text = text.and_then(|text| text.strip_prefix('(')?.strip_suffix("\n)"));
                text.unwrap_or(&self.content).to_owned()
            }
        }
    }

    /// Statements name the table and the column, so each transaction of a run makes sure that they
    /// are still those that were meant. Under the lock that an UPDATE takes, so that they stay it;
    /// whoever was changing them has been waited for then, and what he did can be seen.
    pub fn hold_still(&self) -> Result<Snapshot, Error> {
        sys::lock_relation(self.oid);
        if sys::name_of(self.oid).as_ref() != Some(&self.relation) {
            return Err(Error::RelationReplaced {
                relation: self.label.clone(),
            });
        }
        let column = &self.column;
        if sys::column_name(self.oid, column.number).as_ref() != Some(&column.name)
            || sys::column_typmod(self.oid, column.number) != Some(column.typmod)
        {
            return Err(Error::ColumnReplaced {
                relation: self.label.clone(),
                column: column.name.clone(),
            });
        }
        Ok(Snapshot::newest())
    }

    /// How the rows of a leaf are reached: see `Leaf::reach`.
    pub fn reach(&self, leaf: usize) -> (String, &str) {
        self.leaves[leaf].reach(self.oid, &self.relation)
    }

    /// Finds the leaves anew: partitions come and go. True where they are others than before, or were rewritten.
    pub fn find_leaves(&mut self) -> Result<bool, Error> {
        let (leaves, foreign) = leaves::of(self.oid, &self.alias, &self.column.name)?;
        let changed = leaves != self.leaves;
        self.leaves = leaves;
        self.foreign = foreign;
        Ok(changed)
    }

    /// A vector of the column as it is stored.
    pub fn vector_bytes(&self) -> u64 {
        let value = match self.column.type_name.ends_with("halfvec") {
            true => 2,
            false => 4,
        };
        8 + value * u64::from(self.dimensions)
    }
}

impl Call {
    pub fn new(
        relation: Option<Oid>,
        content: Option<String>,
        embedding_column: Option<&CStr>,
        source_filter: Option<String>,
    ) -> Result<Call, Error> {
        Ok(Call {
            relation: relation.ok_or(Error::NullArgument { name: "relation" })?,
            content,
            embedding_column: embedding_column.map(|name| name.to_string_lossy().into_owned()),
            source_filter,
        })
    }

    /// Before anything is looked up: as the table is when nobody is changing it any more.
    pub fn hold_still(&self) -> Snapshot {
        sys::lock_name(self.relation);
        Snapshot::newest()
    }

    /// Rows of one batch, from its argument.
    pub fn batch(value: Option<i32>) -> Result<usize, Error> {
        match value {
            Some(batch @ 1..=10_000) => Ok(batch as usize),
            value => Err(Error::Batch { value }),
        }
    }
}

/// Of the advisory lock for a column.
pub fn lock_key(table: Oid, column: i16) -> i64 {
    LOCKS | i64::from(table.to_u32()) << 16 | i64::from(column)
}

pub fn resolve(call: &Call) -> Result<Target, Error> {
    let label = label(call.relation)?;
    let mut target = sys::with_pinned_search_path(|| find(call, label))?;
    target.find_leaves()?;
    if target.dimensions == 0 {
        target.dimensions = stored_dimensions(&target)?;
    }
    Ok(target)
}

/// Under the caller's search_path, so that a schema is named only where it must be.
fn label(oid: Oid) -> Result<String, Error> {
    let label = Spi::connect(|client| {
        client
            .select(
                "SELECT $1::pg_catalog.regclass::pg_catalog.text",
                None,
                &[oid.into()],
            )?
            .first()
            .get_one::<String>()
    })?;
    Ok(label.unwrap_or_default())
}

fn find(call: &Call, label: String) -> Result<Target, Error> {
    let vectors = VectorTypes::find()?;
    let (relation, alias, row_security) = relation(call.relation, &label)?;
    let columns = columns::of(call.relation)?;
    let named = call.embedding_column.as_deref();
    let column = columns::embedding(named, &label, &columns, &vectors)?.clone();
    let (content, content_columns) = match &call.content {
        Some(text) => (expression::checked("content", text)?, None),
        None => {
            let chosen = columns::for_content(&columns);
            if chosen.is_empty() {
                return Err(Error::NoTextColumn { relation: label });
            }
            let names = chosen.iter().map(|column| column.name.clone()).collect();
            (columns::rendered(&chosen, AS_TEXT), Some(names))
        }
    };
    let filter = match &call.source_filter {
        Some(text) => expression::checked("source_filter", text)?,
        None => "true".into(),
    };
    Ok(Target {
        oid: call.relation,
        label,
        relation,
        alias,
        dimensions: column.typmod.max(0).unsigned_abs(),
        column,
        vector_schema: vectors.schema,
        content: format!("{content}{AS_TEXT}"),
        content_columns,
        filter,
        leaves: Vec::new(),
        foreign: Vec::new(),
        row_security,
        row_key: columns::row_key(&columns),
        rejected: Vec::new(),
        plans: Plans::default(),
    })
}

fn relation(oid: Oid, label: &str) -> Result<(String, String, bool), Error> {
    let row = Spi::connect(|client| {
        let row = client
            .select(
                "SELECT format('%I.%I', n.nspname, c.relname), quote_ident(c.relname), c.relkind::text,
                        row_security_active(c.oid)
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.oid = $1",
                None,
                &[oid.into()],
            )?
            .first();
        if row.is_empty() {
            return Ok(None);
        }
        Ok::<_, Error>(Some((
            row.get::<String>(1)?.unwrap_or_default(),
            row.get::<String>(2)?.unwrap_or_default(),
            row.get::<String>(3)?.unwrap_or_default(),
            row.get::<bool>(4)?.unwrap_or_default(),
        )))
    })?;
    let Some((relation, alias, kind, row_security)) = row else {
        return Err(Error::RelationGone { oid: oid.to_u32() });
    };
    let kind = match kind.as_str() {
        "r" | "p" => return Ok((relation, alias, row_security)),
        "v" => "a view",
        "m" => "a materialized view",
        "f" => "a foreign table",
        "S" => "a sequence",
        "i" | "I" => "an index",
        "c" => "a composite type",
        "t" => "a TOAST table",
        _ => "something else",
    };
    Err(Error::RelationKind {
        relation: label.to_owned(),
        kind,
    })
}

/// A column that doesn't say takes the dimensions of its rows.
fn stored_dimensions(target: &Target) -> Result<u32, Error> {
    let column = &target.column.sql;
    let statement = format!(
        "SELECT {}.vector_dims({column}) FROM {} WHERE {column} IS NOT NULL LIMIT 1",
        target.vector_schema, target.relation
    );
    let dimensions = Spi::connect(|client| {
        client
            .select(&statement, Some(1), &[])?
            .first()
            .get_one::<i32>()
    });
    match dimensions {
        Ok(Some(dimensions)) => Ok(dimensions.unsigned_abs()),
        Ok(None) | Err(spi::Error::InvalidPosition) => Err(Error::NoDimensions {
            relation: target.label.clone(),
            column: column.clone(),
            type_name: target.column.type_name.clone(),
        }),
        Err(error) => Err(error.into()),
    }
}
