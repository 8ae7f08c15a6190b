//! What a call means: which table and leaves, which embedding column, which content. Everything is
//! looked up by OID and quoted by Postgres; nothing is sent or written here.

use std::ffi::CStr;

use pgrx::pg_sys::Oid;
use pgrx::prelude::*;

use super::columns::{self, Column};
use super::error::Error;
use super::expression;
use super::sys;
use super::vector_type::VectorTypes;

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
}

/// A table that stores rows, and how the caller may reach it.
#[derive(Debug, Clone)]
pub struct Leaf {
    pub oid: Oid,
    /// What stands behind FROM and UPDATE, without the alias.
    pub source: String,
    /// SQL of type boolean: true for rows of this leaf.
    pub within: String,
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

    /// Rows of one batch, from its argument.
    pub fn batch(value: Option<i32>) -> Result<usize, Error> {
        match value {
            Some(batch @ 1..=10_000) => Ok(batch as usize),
            value => Err(Error::Batch { value }),
        }
    }
}

pub fn resolve(call: &Call) -> Result<Target, Error> {
    let label = label(call.relation)?;
    let mut target = sys::with_pinned_search_path(|| find(call, label))?;
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
    let column = columns::embedding(named, &label, &columns, vectors)?.clone();
    let (content, content_columns) = match &call.content {
        Some(text) => (expression::checked("content", text)?, None),
        None => {
            let chosen = columns::for_content(&columns);
            if chosen.is_empty() {
                return Err(Error::NoTextColumn { relation: label });
            }
            let names = chosen.iter().map(|column| column.name.clone()).collect();
            (columns::rendered(&chosen), Some(names))
        }
    };
    let filter = match &call.source_filter {
        Some(text) => expression::checked("source_filter", text)?,
        None => "true".into(),
    };
    let (leaves, foreign) = leaves(call.relation, &relation, &alias, &column.name)?;
    Ok(Target {
        oid: call.relation,
        label,
        relation,
        alias,
        dimensions: column.typmod.max(0).unsigned_abs(),
        column,
        content: format!("{content}::pg_catalog.text"),
        content_columns,
        filter,
        leaves,
        foreign,
        row_security,
        row_key: columns::row_key(&columns),
        rejected: Vec::new(),
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

/// The tables below `oid` that store rows, and the foreign ones. A table of one's own is read by its
/// name. Where the caller has rights on the parent alone, or its policies apply, it is reached through
/// the parent: `tableoid` says which rows are meant, the partition's constraint lets the planner skip
/// the other partitions.
fn leaves(
    oid: Oid,
    relation: &str,
    alias: &str,
    column: &str,
) -> Result<(Vec<Leaf>, Vec<String>), Error> {
    let mut own = Vec::new();
    let mut foreign = Vec::new();
    Spi::connect(|client| {
        let rows = client.select(
            "WITH RECURSIVE tree (oid) AS (
                 SELECT $1::oid
                 UNION
                 SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid
                 WHERE NOT i.inhdetachpending
             )
             SELECT format('%I.%I', n.nspname, c.relname), c.relkind = 'f',
                    c.oid = $1
                        OR has_table_privilege(c.oid, 'SELECT')
                           AND has_column_privilege(c.oid, $2, 'UPDATE')
                           AND NOT row_security_active(c.oid) AND NOT row_security_active($1),
                    format('%s.tableoid OPERATOR(pg_catalog.=) %L::pg_catalog.oid AND (%s)', $3, c.oid,
                           coalesce(pg_get_partition_constraintdef(c.oid), 'true')),
                    c.oid
             FROM tree JOIN pg_class c ON c.oid = tree.oid
             JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'f')
             ORDER BY c.relname, c.oid",
            None,
            &[oid.into(), column.into(), alias.into()],
        )?;
        for row in rows {
            let name: String = row.get(1)?.unwrap_or_default();
            if row.get(2)?.unwrap_or_default() {
                foreign.push(name);
                continue;
            }
            let oid = row.get(5)?.unwrap_or(Oid::INVALID);
            if row.get(3)?.unwrap_or_default() {
                own.push(Leaf {
                    oid,
                    source: format!("ONLY {name}"),
                    within: "true".into(),
                });
            } else {
                own.push(Leaf {
                    oid,
                    source: relation.to_owned(),
                    within: row.get(4)?.unwrap_or_default(),
                });
            }
        }
        Ok::<_, Error>(())
    })?;
    Ok((own, foreign))
}

/// A column that doesn't say takes the dimensions of its rows.
fn stored_dimensions(target: &Target) -> Result<u32, Error> {
    let column = &target.column.sql;
    let statement = format!(
        "SELECT vector_dims({column}) FROM {} WHERE {column} IS NOT NULL LIMIT 1",
        target.relation
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
