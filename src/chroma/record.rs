//! Records, and the body that brings them into a collection. An upsert merges: what it leaves out stays as
//! it was. So each record has a document, even an empty one, and names every key of its metadata.

use serde_json::Value;

/// A row as Chroma has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub id: String,
    /// A JSON array of numbers.
    pub vector: String,
    pub document: String,
    /// The names are those of all records; a value that is null takes the key away.
    pub metadata: Vec<Value>,
}

impl Record {
    /// What it takes of a body, roughly and at most but for a text of control characters.
    pub fn bytes(&self) -> usize {
        let metadata: usize = self.metadata.iter().map(|value| size(value) + 8).sum();
        self.vector.len() + 2 * (self.id.len() + self.document.len() + metadata) + 16
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        _ => 24,
    }
}

/// The body of an upsert. `keys` are the names of the metadata.
pub fn upsert(records: &[Record], keys: &[String]) -> serde_json::Result<Vec<u8>> {
    let mut body = Vec::with_capacity(records.iter().map(Record::bytes).sum::<usize>() + 64);
    body.extend_from_slice(b"{\"ids\":");
    let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
    serde_json::to_writer(&mut body, &ids)?;
    body.extend_from_slice(b",\"embeddings\":[");
    for (place, record) in records.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(record.vector.as_bytes());
    }
    body.extend_from_slice(b"],\"documents\":");
    let documents: Vec<&str> = records.iter().map(|r| r.document.as_str()).collect();
    serde_json::to_writer(&mut body, &documents)?;
    if !keys.is_empty() {
        body.extend_from_slice(b",\"metadatas\":[");
        for (place, record) in records.iter().enumerate() {
            if place > 0 {
                body.push(b',');
            }
            object(&mut body, keys, &record.metadata)?;
        }
        body.push(b']');
    }
    body.push(b'}');
    Ok(body)
}

fn object(body: &mut Vec<u8>, keys: &[String], values: &[Value]) -> serde_json::Result<()> {
    body.push(b'{');
    for (place, (key, value)) in keys.iter().zip(values).enumerate() {
        if place > 0 {
            body.push(b',');
        }
        serde_json::to_writer(&mut *body, key)?;
        body.push(b':');
        serde_json::to_writer(&mut *body, value)?;
    }
    body.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(id: &str, metadata: Vec<Value>) -> Record {
        Record {
            id: id.into(),
            vector: "[0.5,-1e-05]".into(),
            document: "a \"row\"\n".into(),
            metadata,
        }
    }

    fn body(records: &[Record], keys: &[&str]) -> Value {
        let keys: Vec<String> = keys.iter().map(|&key| key.into()).collect();
        serde_json::from_slice(&upsert(records, &keys).unwrap()).unwrap()
    }

    #[test]
    fn each_record_names_every_key() {
        let records = [
            record("1", vec![json!(7), json!("x\u{1}")]),
            record("\"2", vec![Value::Null, json!(true)]),
        ];
        assert_eq!(
            body(&records, &["n", "a \"key\""]),
            json!({
                "ids": ["1", "\"2"],
                "embeddings": [[0.5, -0.00001], [0.5, -0.00001]],
                "documents": ["a \"row\"\n", "a \"row\"\n"],
                "metadatas": [{"n": 7, "a \"key\"": "x\u{1}"}, {"n": null, "a \"key\"": true}],
            })
        );
    }

    #[test]
    fn without_keys_metadata_is_left_alone() {
        let body = body(&[record("1", Vec::new())], &[]);
        assert_eq!(body.get("metadatas"), None);
    }
}
