//! Where a collection is: the paths of the API's calls, and the bodies of those that carry no records.

use serde_json::{Map, Value, json};

pub const PRE_FLIGHT_CHECKS: &str = "/api/v2/pre-flight-checks";

/// The key in a collection's metadata that says whose rows it holds.
pub const MARK: &str = "embedding_backfill";

/// A collection by its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub tenant: String,
    pub database: String,
    pub collection: String,
}

/// Whether Chroma takes it as the name of a collection.
pub fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    (3..=512).contains(&bytes.len())
        && ends
            .iter()
            .all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

impl Place {
    pub fn collections(&self) -> String {
        format!(
            "/api/v2/tenants/{}/databases/{}/collections",
            encoded(&self.tenant),
            encoded(&self.database)
        )
    }

    pub fn by_name(&self) -> String {
        format!("{}/{}", self.collections(), encoded(&self.collection))
    }

    /// What all but the first calls take is the collection's id.
    pub fn by_id(&self, id: &str, call: &str) -> String {
        format!("{}/{}{call}", self.collections(), encoded(id))
    }

    /// With the distance that the vectors are made for.
    pub fn creation(&self, mark: &str) -> Value {
        json!({
            "name": self.collection,
            "get_or_create": true,
            "metadata": {MARK: mark},
            "configuration": {"hnsw": {"space": "cosine"}},
        })
    }
}

/// Adds the mark to a collection that has none. What else it says of itself is sent again, or it would be gone.
pub fn marking(mut metadata: Map<String, Value>, mark: &str) -> Value {
    metadata.insert(MARK.into(), mark.into());
    json!({"new_metadata": metadata})
}

/// A page of the ids that a collection has, without what belongs to them.
pub fn page(offset: u64, limit: usize) -> Value {
    json!({"limit": limit, "offset": offset, "include": []})
}

pub fn deletion(ids: &[String]) -> Value {
    json!({"ids": ids})
}

/// A segment of a path, whatever is in it.
fn encoded(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_chroma_takes() {
        for name in ["abc", "a-b", "memory_logs.v2", &"x".repeat(512)] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            "ab",
            "_ab",
            "ab-",
            "a b",
            "a/b",
            "schön",
            &"x".repeat(513),
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn what_a_superuser_named_stays_one_segment() {
        let place = Place {
            tenant: "a/../b".into(),
            database: "ä?#%".into(),
            collection: "docs".into(),
        };
        assert_eq!(
            place.by_name(),
            "/api/v2/tenants/a%2F..%2Fb/databases/%C3%A4%3F%23%25/collections/docs"
        );
    }
}
