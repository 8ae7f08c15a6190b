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
        let found = Spi::connect(|client| {
            let row = client
                .select(
                    "SELECT max(t.oid) FILTER (WHERE t.typname = 'vector'),
                            max(t.oid) FILTER (WHERE t.typname = 'halfvec'),
                            max(quote_ident(n.nspname)),
                            max(t.typarray) FILTER (WHERE t.typname = 'vector')
                     FROM pg_extension e
                     JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
                                     AND d.classid = 'pg_type'::regclass AND d.deptype = 'e'
                     JOIN pg_type t ON t.oid = d.objid
                     JOIN pg_namespace n ON n.oid = t.typnamespace
                     WHERE e.extname = 'vector'",
                    None,
                    &[],
                )?
                .first();
            let found = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
            Ok::<_, Error>(found)
        })?;
        let (Some(vector), Some(halfvec), Some(schema), Some(array)) = found else {
            return Err(Error::NoPgvector);
        };
        VECTOR.set(vector);
        ARRAY.set(array);
        Ok(VectorTypes {
            schema,
            vector,
            halfvec,
        })
    }
}

thread_local! {
    /// `IntoDatum::type_oid` has no argument to carry them.
    static VECTOR: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::Oid::INVALID) };
    static ARRAY: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::Oid::INVALID) };
}

/// A vector as a value of pgvector's type `vector`. Known only after `VectorTypes::find`.
pub struct Vector(Vec<f32>);

impl From<Vec<f32>> for Vector {
    fn from(values: Vec<f32>) -> Self {
        Vector(values)
    }
}

/// Vectors as a value of `vector[]`. Known only after `VectorTypes::find`.
pub struct VectorArray(Vec<u8>);

impl From<&[&[f32]]> for VectorArray {
    fn from(vectors: &[&[f32]]) -> Self {
        VectorArray(stored_array(vectors))
    }
}

/// pgvector's layout behind the varlena header, which is a bytea's, too.
pub fn stored(values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(VECTOR_HEADER + size_of_val(values));
    push(&mut bytes, values);
    bytes
}

/// Dimensions and a reserved field as int16, then the values as float4, all in the machine's byte order.
fn push(bytes: &mut Vec<u8>, values: &[f32]) {
    bytes.extend_from_slice(&(values.len() as i16).to_ne_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend(values.iter().flat_map(|value| value.to_ne_bytes()));
}

const VECTOR_HEADER: usize = 4;

/// An array's layout behind its varlena header: how many dimensions it has, no NULLs, the type of its elements,
/// how many they are and from which subscript on; then each with a varlena header of its own. At pgvector's
/// alignment of four bytes no vector needs padding.
fn stored_array(vectors: &[&[f32]]) -> Vec<u8> {
    let values: usize = vectors.iter().map(|vector| size_of_val(*vector)).sum();
    let mut bytes = Vec::with_capacity(20 + (4 + VECTOR_HEADER) * vectors.len() + values);
    bytes.extend_from_slice(&u32::from(!vectors.is_empty()).to_ne_bytes());
    bytes.extend_from_slice(&0u32.to_ne_bytes());
    bytes.extend_from_slice(&VECTOR.get().to_u32().to_ne_bytes());
    if !vectors.is_empty() {
        bytes.extend_from_slice(&(vectors.len() as u32).to_ne_bytes());
        bytes.extend_from_slice(&1u32.to_ne_bytes());
    }
    for vector in vectors {
        let length = (4 + VECTOR_HEADER + size_of_val(*vector)) as u32;
        bytes.extend_from_slice(&varlena_header(length).to_ne_bytes());
        push(&mut bytes, vector);
    }
    bytes
}

/// Of a plain value with four bytes of header, which count.
fn varlena_header(length: u32) -> u32 {
    match cfg!(target_endian = "big") {
        true => length,
        false => length << 2,
    }
}

impl IntoDatum for Vector {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        stored(&self.0).into_datum()
    }

    fn type_oid() -> pg_sys::Oid {
        VECTOR.get()
    }
}

impl IntoDatum for VectorArray {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        self.0.into_datum()
    }

    fn type_oid() -> pg_sys::Oid {
        ARRAY.get()
    }
}
