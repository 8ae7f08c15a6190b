//! What makes the id of a row: the primary key as text, or an expression of the caller's. And, the other way
//! round, which ids are those of rows.

use std::collections::HashSet;

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;

use super::text;
use crate::pg::error::Error;
use crate::pg::error::MirrorError;
use crate::pg::expression;
use crate::pg::survey::count;
use crate::pg::sys::{self, Snapshot};
use crate::pg::target::Target;

#[derive(Debug, Clone)]
pub struct Key {
    /// SQL of type text.
    pub sql: String,
    lookup: Lookup,
    /// Postgres itself keeps it from being NULL, or that of two rows.
    is_unique: bool,
    /// Asked for by embed_all_missing.
    beside: bool,
}

/// How the rows of some ids are found.
#[derive(Debug, Clone)]
enum Lookup {
    /// By the index of a column of this type.
    Integer(String),
    Uuid(String),
    Text(String),
    /// By a look at all rows.
    Scan,
}

struct Part {
    /// SQL of the column, of it as text, and in a row of several.
    sql: String,
    text: String,
    in_row: String,
    builtin: Option<String>,
}

impl Key {
    /// The caller's own.
    pub fn expression(text: &str) -> Result<Key, Error> {
        Ok(Key {
            sql: format!("{}::pg_catalog.text", expression::checked("key", text)?),
            lookup: Lookup::Scan,
            is_unique: false,
            beside: false,
        })
    }

    /// `beside` is whether embed_all_missing asks.
    pub fn primary(target: &Target, beside: bool) -> Result<Key, Error> {
        let (parts, is_unique) = sys::with_pinned_search_path(|| primary_key(target))?;
        match &parts[..] {
            [] => Err(MirrorError::NoKey {
                relation: target.label.clone(),
                beside,
            }
            .into()),
            [part] => {
                let column = part.sql.clone();
                Ok(Key {
                    sql: part.text.clone(),
                    lookup: match part.builtin.as_deref() {
                        Some("int2" | "int4" | "int8") => Lookup::Integer(column),
                        Some("uuid") => Lookup::Uuid(column),
                        Some("text" | "varchar") => Lookup::Text(column),
                        _ => Lookup::Scan,
                    },
                    is_unique,
                    beside,
                })
            }
            parts => {
                let columns: Vec<&str> = parts.iter().map(|part| part.in_row.as_str()).collect();
                Ok(Key {
                    sql: format!("ROW({})::pg_catalog.text", columns.join(", ")),
                    lookup: Lookup::Scan,
                    is_unique,
                    beside,
                })
            }
        }
    }

    /// How many ids are looked up at a time: where that is a look at all rows, many.
    pub fn ids_at_once(&self) -> usize {
        match self.lookup {
            Lookup::Scan => 100_000,
            _ => 1_000,
        }
    }

    /// Chroma silently keeps one of two records with the same id, and refuses an empty one.
    pub fn check(&self, target: &Target, rows: &str) -> Result<(), Error> {
        if self.is_unique {
            return Ok(());
        }
        let leaves: Vec<String> = (0..target.leaves.len())
            .map(|leaf| {
                format!(
                    "SELECT {} AS key {} AND {rows}",
                    self.sql,
                    target.rows_of(leaf)
                )
            })
            .collect();
        if leaves.is_empty() {
            return Ok(());
        }
        let statement = format!(
            "SELECT keys.key COLLATE pg_catalog.\"C\", pg_catalog.count(*)
             FROM ({}) AS keys GROUP BY 1
             HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1
                 OR pg_catalog.length(pg_catalog.min(keys.key)) OPERATOR(pg_catalog.>) 0 IS NOT TRUE
             LIMIT 1",
            leaves.join(" UNION ALL ")
        );
        let found = Spi::connect(|client| {
            let rows = client.select(&statement, Some(1), &[])?;
            match rows.is_empty() {
                true => Ok::<_, Error>(None),
                false => Ok(Some(rows.first().get_two::<String, i64>()?)),
            }
        })?;
        match found {
            None => Ok(()),
            Some((key, rows)) => Err(MirrorError::BadKey {
                relation: target.label.clone(),
                key,
                rows: count(rows),
                beside: self.beside,
            }
            .into()),
        }
    }

    /// Which of `ids` are those of rows for which the condition `rows` holds.
    pub fn present(
        &self,
        target: &Target,
        rows: &str,
        ids: &[String],
    ) -> Result<HashSet<String>, Error> {
        // No text of Postgres's has a zero byte.
        let texts = || -> Vec<String> {
            let ids = ids.iter().filter(|id| !id.contains('\0'));
            ids.cloned().collect()
        };
        let (condition, argument): (String, DatumWithOid<'_>) = match &self.lookup {
            Lookup::Integer(column) => {
                let ids: Vec<i64> = ids.iter().filter_map(|id| id.parse().ok()).collect();
                let condition = format!("{column} OPERATOR(pg_catalog.=) ANY ($1)");
                (condition, ids.into())
            }
            Lookup::Uuid(column) => {
                let ids: Vec<String> = ids.iter().filter(|id| is_uuid(id)).cloned().collect();
                let condition = format!(
                    "{column} OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[]::pg_catalog.uuid[])"
                );
                (condition, ids.into())
            }
            Lookup::Text(column) => {
                let condition = format!("{column} OPERATOR(pg_catalog.=) ANY ($1)");
                (condition, texts().into())
            }
            // Of an array that the planner knows, Postgres makes a hash table.
            Lookup::Scan => {
                let condition = format!(
                    "{} COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) ANY ($1)",
                    self.sql
                );
                (condition, texts().into())
            }
        };
        let arguments = [argument];
        let mut present = HashSet::with_capacity(ids.len());
        for leaf in 0..target.leaves.len() {
            let statement = format!(
                "SELECT {} {} AND {condition} AND {rows}",
                self.sql,
                target.rows_of(leaf)
            );
            // The leaf may have been waited for.
            let _snapshot = Snapshot::newest();
            Spi::connect(|client| {
                for row in client.select(&statement, None, &arguments)? {
                    present.extend(row.get::<String>(1)?);
                }
                Ok::<_, Error>(())
            })?;
        }
        Ok(present)
    }
}

/// As Postgres writes them, and so as ids of ours are.
fn is_uuid(id: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    id.len() == 36
        && id
            .bytes()
            .enumerate()
            .all(|(place, byte)| match hyphens.contains(&place) {
                true => byte == b'-',
                false => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
            })
}

/// The columns of the primary key, in its order, and whether it covers all rows of the target: what inherits
/// from a table does not inherit that, and partitions may lack it where it is not valid.
fn primary_key(target: &Target) -> Result<(Vec<Part>, bool), Error> {
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT quote_ident(a.attname),
                    CASE WHEN base.typnamespace = 'pg_catalog'::regnamespace THEN base.typname::text END,
                    i.indisvalid AND (c.relkind = 'p' OR NOT c.relhassubclass)
             FROM pg_index i
             CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
             JOIN pg_class c ON c.oid = i.indrelid
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
             JOIN pg_type t ON t.oid = a.atttypid
             JOIN pg_type base ON base.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
             WHERE i.indrelid = $1 AND i.indisprimary AND k.place <= i.indnkeyatts
             ORDER BY k.place",
            None,
            &[target.oid.into()],
        )?;
        let mut parts = Vec::new();
        let mut is_unique = true;
        for row in rows {
            let sql: String = row.get(1)?.unwrap_or_default();
            let builtin: Option<String> = row.get(2)?;
            is_unique &= row.get::<bool>(3)?.unwrap_or_default();
            let text = text::of(&sql, builtin.as_deref());
            parts.push(Part {
                in_row: text.clone().unwrap_or_else(|| sql.clone()),
                text: text.unwrap_or_else(|| match builtin {
                    Some(_) => format!("{sql}::pg_catalog.text"),
                    // As the type prints it, which is no cast.
                    None => format!("pg_catalog.concat({sql})"),
                }),
                sql,
                builtin,
            });
        }
        Ok((parts, is_unique))
    })
}
