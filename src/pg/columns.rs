//! The columns of a table: which takes the vectors, which make up the content, which find a row again.

use pgrx::pg_sys::Oid;
use pgrx::prelude::*;

use super::error::Error;
use super::vector_type::VectorTypes;

/// A pattern for what is not blank. Without a backslash: what one means is for the caller's settings to say.
pub const NO_SPACE: &str = "'[^[:space:]]'";

#[derive(Debug, Clone)]
pub struct Column {
    pub number: i16,
    pub name: String,
    /// `name`, quoted where it must be.
    pub sql: String,
    pub type_name: String,
    type_oid: Oid,
    pub typmod: i32,
    /// text, varchar, char, citext, json, jsonb, or a domain over one.
    is_text: bool,
    /// Which of Postgres's own types it is, or a domain over: casts of others are functions of their owners.
    pub builtin: Option<String>,
    /// Part of a primary or a foreign key.
    is_key: bool,
    is_primary: bool,
}

impl Column {
    /// SQL of type text. What is not Postgres's own is written as the type prints it, which is no cast.
    pub fn as_text(&self) -> String {
        match self.builtin {
            Some(_) => format!("{}::pg_catalog.text", self.sql),
            None => format!(
                "CASE WHEN {sql} IS DISTINCT FROM NULL THEN pg_catalog.concat({sql}) END",
                sql = self.sql
            ),
        }
    }

    /// The type without its schema.
    pub fn bare_type(&self) -> &str {
        self.type_name.rsplit('.').next().unwrap_or(&self.type_name)
    }
}

/// All columns of a table, in its order. Under a pinned search_path.
pub fn of(relation: Oid) -> Result<Vec<Column>, Error> {
    Spi::connect(|client| {
        client
            .select(
                "SELECT a.attname::text, quote_ident(a.attname), t.oid, a.atttypmod,
                        format_type(t.oid, NULL),
                        base.oid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype,
                                     'json'::regtype, 'jsonb'::regtype)
                            OR base.typname = 'citext' AND EXISTS (
                                SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                                WHERE d.classid = 'pg_type'::regclass AND d.objid = base.oid
                                  AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
                                  AND e.extname = 'citext'),
                        CASE WHEN base.typnamespace = 'pg_catalog'::regnamespace THEN base.typname::text END,
                        EXISTS (SELECT FROM pg_constraint k
                                WHERE k.conrelid = a.attrelid AND k.contype IN ('p', 'f')
                                  AND a.attnum = ANY (k.conkey)),
                        EXISTS (SELECT FROM pg_index i
                                WHERE i.indrelid = a.attrelid AND i.indisprimary
                                  AND a.attnum = ANY (i.indkey)),
                        a.attnum
                 FROM pg_attribute a
                 JOIN pg_type t ON t.oid = a.atttypid
                 JOIN pg_type base ON base.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
                 WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
                 ORDER BY a.attnum",
                None,
                &[relation.into()],
            )?
            .map(|row| {
                Ok(Column {
                    name: row.get(1)?.unwrap_or_default(),
                    sql: row.get(2)?.unwrap_or_default(),
                    type_oid: row.get(3)?.unwrap_or(Oid::INVALID),
                    typmod: row.get(4)?.unwrap_or(-1),
                    type_name: row.get(5)?.unwrap_or_default(),
                    is_text: row.get(6)?.unwrap_or_default(),
                    builtin: row.get(7)?,
                    is_key: row.get(8)?.unwrap_or_default(),
                    is_primary: row.get(9)?.unwrap_or_default(),
                    number: row.get(10)?.unwrap_or_default(),
                })
            })
            .collect()
    })
}

/// The column that is named, or the only one there is.
pub fn embedding<'a>(
    named: Option<&str>,
    relation: &str,
    columns: &'a [Column],
    vectors: &VectorTypes,
) -> Result<&'a Column, Error> {
    let relation = relation.to_owned();
    let is_vector = |column: &&Column| [vectors.vector, vectors.halfvec].contains(&column.type_oid);
    let candidates: Vec<&Column> = columns.iter().filter(is_vector).collect();
    let names = || {
        candidates
            .iter()
            .map(|column| column.name.clone())
            .collect()
    };
    let Some(name) = named else {
        return match candidates[..] {
            [] => Err(Error::NoVectorColumn { relation }),
            [column] => Ok(column),
            _ => Err(Error::SeveralVectorColumns {
                relation,
                columns: names(),
            }),
        };
    };
    match columns.iter().find(|column| column.name == name) {
        None => Err(Error::NoSuchColumn {
            relation,
            column: name.to_owned(),
            vectors: names(),
        }),
        Some(column) if is_vector(&column) => Ok(column),
        Some(column) => Err(Error::NotAVector {
            relation,
            column: name.to_owned(),
            type_name: column.type_name.clone(),
        }),
    }
}

/// The only text-like column, or all of them but keys.
pub fn for_content(columns: &[Column]) -> Vec<&Column> {
    let texts: Vec<&Column> = columns.iter().filter(|column| column.is_text).collect();
    match texts.len() {
        1 => texts,
        _ => texts.into_iter().filter(|column| !column.is_key).collect(),
    }
}

/// SQL for the content: one column as it is; several as lines `name: value`, blank ones left out. `as_text`
/// makes text of a value.
pub fn rendered(columns: &[&Column], as_text: &str) -> String {
    if let [column] = columns {
        return format!("({})", column.sql);
    }
    let lines: Vec<String> = columns
        .iter()
        .map(|column| {
            let value = format!("{}{as_text}", column.sql);
            let label = spi::quote_literal(format!("{}: ", column.name));
            format!(
                "CASE WHEN {value} OPERATOR(pg_catalog.~) {NO_SPACE} \
                 THEN {label} OPERATOR(pg_catalog.||) {value} END"
            )
        })
        .collect();
    format!("pg_catalog.concat_ws(E'\\n', {})", lines.join(", "))
}

/// SQL of type jsonb: the primary key's values; a row without one is known by its place alone.
pub fn row_key(columns: &[Column]) -> String {
    let mut pairs: Vec<String> = columns
        .iter()
        .filter(|column| column.is_primary)
        .map(|column| {
            let value = match column.builtin {
                Some(_) => column.sql.clone(),
                None => column.as_text(),
            };
            format!("{}, {value}", spi::quote_literal(&column.name))
        })
        .collect();
    if pairs.is_empty() {
        pairs.push("'ctid', ctid::pg_catalog.text".into());
    }
    format!("pg_catalog.jsonb_build_object({})", pairs.join(", "))
}
