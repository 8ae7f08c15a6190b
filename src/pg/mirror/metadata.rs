//! The columns that go along with a row, as metadata: numbers and booleans as such, all else as text.

use pgrx::pg_sys::Oid;
use serde_json::{Number, Value};

use super::text;
use crate::pg::columns::{self, Column};
use crate::pg::error::Error;
use crate::pg::error::MirrorError;
use crate::pg::sys;

#[derive(Debug, Default)]
pub struct Metadata {
    pub names: Vec<String>,
    /// SQL of type text[], in their order.
    pub sql: String,
    kinds: Vec<Kind>,
}

/// Each value of a column is of one kind, so that Chroma can compare them.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Integer,
    Float,
    Boolean,
    Text,
}

impl Metadata {
    pub fn of(
        relation: Oid,
        label: &str,
        named: Option<Vec<Option<String>>>,
    ) -> Result<Metadata, Error> {
        let columns = sys::with_pinned_search_path(|| columns::of(relation))?;
        let mut metadata = Metadata::default();
        let mut texts = Vec::new();
        for name in named.unwrap_or_default() {
            let wrong = |what: String| Error::from(MirrorError::MetadataName { what });
            let name = name.ok_or_else(|| wrong("a name is NULL".into()))?;
            if metadata.names.contains(&name) {
                return Err(wrong(format!("column \"{name}\" is named twice")));
            }
            let Some(column) = columns.iter().find(|column| column.name == name) else {
                return Err(MirrorError::NoSuchMetadata {
                    relation: label.to_owned(),
                    column: name,
                    columns: columns.into_iter().map(|column| column.name).collect(),
                }
                .into());
            };
            let text = text::of(&column.sql, column.builtin.as_deref());
            texts.push(text.unwrap_or_else(|| column.as_text()));
            metadata.kinds.push(Kind::of(column));
            metadata.names.push(name);
        }
        metadata.sql = format!("ARRAY[{}]::pg_catalog.text[]", texts.join(", "));
        Ok(metadata)
    }

    pub fn values(&self, texts: Vec<Option<String>>) -> Vec<Value> {
        let texts = texts.into_iter().zip(&self.kinds);
        texts.map(|(text, kind)| kind.value(text)).collect()
    }
}

impl Kind {
    fn of(column: &Column) -> Kind {
        match column.builtin.as_deref() {
            Some("int2" | "int4" | "int8") => Kind::Integer,
            // The scale is in the lower bits of what is stored behind a header of four.
            Some("numeric") if column.typmod >= 4 && (column.typmod - 4) & 0x7ff == 0 => {
                Kind::Integer
            }
            Some("float4" | "float8" | "numeric") => Kind::Float,
            Some("bool") => Kind::Boolean,
            _ => Kind::Text,
        }
    }

    fn value(self, text: Option<String>) -> Value {
        let Some(text) = text else {
            return Value::Null;
        };
        let value = match self {
            Kind::Integer => text.parse().ok().map(|number: i64| number.into()),
            Kind::Float => text
                .parse()
                .ok()
                .and_then(Number::from_f64)
                .map(Value::Number),
            Kind::Boolean => Some(Value::Bool(text == "true")),
            Kind::Text => None,
        };
        value.unwrap_or(Value::String(text))
    }
}
