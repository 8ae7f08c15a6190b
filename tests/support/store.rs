//! A database of Chroma's as any client of it sees it: its collections and their records.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};

use crate::chroma::Chroma;

pub struct Store<'c> {
    pub database: String,
    chroma: &'c Chroma,
}

/// What Chroma keeps of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub vector: Vec<f32>,
    pub document: Value,
    pub metadata: Value,
}

impl<'c> Store<'c> {
    pub(crate) fn create(chroma: &'c Chroma, name: &str) -> Store<'c> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let store = Store {
            database: format!("{name}_{number}"),
            chroma,
        };
        let path = "/api/v2/tenants/default_tenant/databases";
        let made = chroma.ask("POST", path, &json!({ "name": store.database }));
        assert_eq!(made.0, 200, "{made:?}");
        store
    }

    pub fn url(&self) -> String {
        self.chroma.url()
    }

    /// What it says of a collection, or that there is none.
    pub fn collection(&self, name: &str) -> Option<Value> {
        match self.ask("GET", &format!("/{name}"), &Value::Null) {
            (200, collection) => Some(collection),
            (404, _) => None,
            answer => panic!("{name}: {answer:?}"),
        }
    }

    pub fn collections(&self) -> Vec<String> {
        let (status, collections) = self.ask("GET", "", &Value::Null);
        assert_eq!(status, 200, "{collections}");
        let collections = collections.as_array().expect("a list").iter();
        collections
            .map(|collection| text(&collection["name"]))
            .collect()
    }

    /// Makes a collection as another program would.
    pub fn make(&self, collection: &Value) {
        let made = self.ask("POST", "", collection);
        assert_eq!(made.0, 200, "{made:?}");
    }

    /// Gives a collection this metadata.
    pub fn change(&self, collection: &str, metadata: &Value) {
        let path = format!("/{}", self.id(collection));
        let changed = self.ask("PUT", &path, &json!({ "new_metadata": metadata }));
        assert_eq!(changed.0, 200, "{changed:?}");
    }

    pub fn drop(&self, collection: &str) {
        let dropped = self.ask("DELETE", &format!("/{collection}"), &Value::Null);
        assert_eq!(dropped.0, 200, "{dropped:?}");
    }

    pub fn upsert(&self, collection: &str, records: &Value) {
        self.post(collection, "upsert", records);
    }

    pub fn count(&self, collection: &str) -> i64 {
        let path = format!("/{}/count", self.id(collection));
        let (status, count) = self.ask("GET", &path, &Value::Null);
        assert_eq!(status, 200, "{count}");
        count.as_i64().expect("a number")
    }

    /// All that it has, by ID.
    pub fn records(&self, collection: &str) -> BTreeMap<String, Record> {
        let all = json!({ "include": ["embeddings", "documents", "metadatas"] });
        let got = self.post(collection, "get", &all);
        let ids = got["ids"].as_array().expect("a list").iter();
        let records = ids.enumerate().map(|(place, id)| {
            let record = Record {
                vector: vector(&got["embeddings"][place]),
                document: got["documents"][place].clone(),
                metadata: got["metadatas"][place].clone(),
            };
            (text(id), record)
        });
        records.collect()
    }

    pub fn ids(&self, collection: &str) -> Vec<String> {
        self.records(collection).into_keys().collect()
    }

    /// The IDs of what is nearest to a vector.
    pub fn nearest(&self, collection: &str, to: &[f32], how_many: usize) -> Vec<String> {
        let question = json!({ "query_embeddings": [to], "n_results": how_many, "include": [] });
        let got = self.post(collection, "query", &question);
        let ids = got["ids"][0].as_array().expect("a list").iter();
        ids.map(text).collect()
    }

    fn post(&self, collection: &str, what: &str, body: &Value) -> Value {
        let path = format!("/{}/{what}", self.id(collection));
        let (status, answer) = self.ask("POST", &path, body);
        assert_eq!(status, 200, "{what}: {answer}");
        answer
    }

    /// Records are asked for by their collection's ID.
    fn id(&self, collection: &str) -> String {
        let known = self.collection(collection);
        text(&known.unwrap_or_else(|| panic!("there is no collection {collection}"))["id"])
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let path = format!(
            "/api/v2/tenants/default_tenant/databases/{}/collections{path}",
            self.database
        );
        self.chroma.ask(method, &path, body)
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn vector(value: &Value) -> Vec<f32> {
    let values = value.as_array().expect("a vector").iter();
    values
        .map(|value| value.as_f64().expect("a number") as f32)
        .collect()
}
