//! What Chroma answers.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::place::MARK;

/// A collection as the server describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    pub id: String,
    /// Not before it has a first record.
    pub dimension: Option<u64>,
    /// Its distance: cosine, l2 or ip.
    pub space: Option<String>,
    pub metadata: Map<String, Value>,
}

impl Collection {
    /// Whose rows it holds, where we made it.
    pub fn mark(&self) -> Option<&str> {
        self.metadata.get(MARK)?.as_str()
    }
}

#[derive(Deserialize)]
struct RawCollection {
    id: String,
    #[serde(default)]
    dimension: Option<u64>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    #[serde(default)]
    configuration_json: Value,
}

#[derive(Deserialize)]
struct Limits {
    max_batch_size: usize,
}

#[derive(Deserialize)]
struct Page {
    ids: Vec<String>,
}

/// The most records that the server takes in one request.
pub fn max_batch_size(body: &[u8]) -> serde_json::Result<usize> {
    let limits: Limits = serde_json::from_slice(body)?;
    Ok(limits.max_batch_size.max(1))
}

pub fn collection(body: &[u8]) -> serde_json::Result<Collection> {
    let raw: RawCollection = serde_json::from_slice(body)?;
    let metadata = raw.metadata.unwrap_or_default();
    let space = ["hnsw", "spann"]
        .iter()
        .find_map(|index| raw.configuration_json.get(index)?.get("space"))
        .or_else(|| metadata.get("hnsw:space"))
        .and_then(Value::as_str)
        .map(str::to_owned);
    Ok(Collection {
        id: raw.id,
        dimension: raw.dimension,
        space,
        metadata,
    })
}

/// Of a collection.
pub fn count(body: &[u8]) -> serde_json::Result<u64> {
    serde_json::from_slice(body)
}

pub fn ids(body: &[u8]) -> serde_json::Result<Vec<String>> {
    let page: Page = serde_json::from_slice(body)?;
    Ok(page.ids)
}

/// Where nothing but success is told.
pub fn nothing(body: &[u8]) -> serde_json::Result<()> {
    serde_json::from_slice::<Value>(body).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_as_the_server_tells_it() {
        let body = br#"{"id":"5f0b6b0e-0000-4000-8000-000000000000","name":"docs",
            "configuration_json":{"hnsw":{"space":"cosine","ef_construction":100},"spann":null},
            "metadata":{"embedding_backfill":"public.docs.embedding"},"dimension":null,"version":0}"#;
        let docs = collection(body).unwrap();
        assert_eq!(docs.mark(), Some("public.docs.embedding"));
        assert_eq!(docs.dimension, None);
        assert_eq!(docs.space.as_deref(), Some("cosine"));
        let old = br#"{"id":"x","metadata":{"hnsw:space":"l2"},"dimension":3}"#;
        let old = collection(old).unwrap();
        assert_eq!((old.space.as_deref(), old.dimension), (Some("l2"), Some(3)));
        assert_eq!(old.mark(), None);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        assert!(collection(b"<html>").is_err());
        assert!(max_batch_size(br#"{"max_batch_size":-1}"#).is_err());
        assert!(ids(br#"{"ids":[1]}"#).is_err());
        assert!(count(b"null").is_err());
        assert!(nothing(b"").is_err());
    }
}
