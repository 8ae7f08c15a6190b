//! pgvector's types: where they are, and how a vector crosses into SQL.

use std::cell::Cell;

use pgrx::prelude::*;
use pgrx::{IntoDatum, pg_sys};

use super::error::Error;

/// The types of the installed pgvector.
#[derive(Debug, Clone)]
pub struct VectorTypes {
    /// Of pgvector's objects, quoted.
    pub schema: String,
    pub vector: pg_sys::Oid,
    pub halfvec: pg_sys::Oid,
}

impl VectorTypes {
    /// By membership in the extension, so that its schema does not matter. Under a pinned search_path.
    pub fn find() -> Result<VectorTypes, Error> {
        let oids = Spi::connect(|client| {
            client
                .select(
                    "SELECT max(t.oid) FILTER (WHERE t.typname = 'vector'),
                            max(t.oid) FILTER (WHERE t.typname = 'halfvec'),
                            max(quote_ident(n.nspname))
                     FROM pg_extension e
                     JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
                                     AND d.classid = 'pg_type'::regclass AND d.deptype = 'e'
                     JOIN pg_type t ON t.oid = d.objid
                     JOIN pg_namespace n ON n.oid = t.typnamespace
                     WHERE e.extname = 'vector'",
                    None,
                    &[],
                )?
                .first()
                .get_three::<pg_sys::Oid, pg_sys::Oid, String>()
        })?;
        let (Some(vector), Some(halfvec), Some(schema)) = oids else {
            return Err(Error::NoPgvector);
        };
        VECTOR.set(vector);
        Ok(VectorTypes {
            schema,
            vector,
            halfvec,
        })
    }
}

thread_local! {
    /// `IntoDatum::type_oid` has no argument to carry it.
    static VECTOR: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::Oid::INVALID) };
}

/// A vector as a value of pgvector's type `vector`. Known only after `VectorTypes::find`.
pub struct Vector(Vec<f32>);

impl From<Vec<f32>> for Vector {
    fn from(values: Vec<f32>) -> Self {
        Vector(values)
    }
}

/// pgvector's layout behind the varlena header, which is a bytea's, too: dimensions and a reserved field
/// as int16, then the values as float4, all in the machine's byte order.
pub fn stored(values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + values.len() * 4);
    bytes.extend_from_slice(&(values.len() as i16).to_ne_bytes());
    bytes.extend_from_slice(&[0; 2]);
    for value in values {
        bytes.extend_from_slice(&value.to_ne_bytes());
    }
    bytes
}

impl IntoDatum for Vector {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        stored(&self.0).into_datum()
    }

    fn type_oid() -> pg_sys::Oid {
        VECTOR.get()
    }
}
