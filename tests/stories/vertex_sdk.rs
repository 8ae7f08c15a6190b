//! Google's own SDK as a client of Vertex AI's stand-in: it signs in with the key file of the service account, asks in its own
//! way, and gets the vectors that our client stored.

use google_standin::{Config, Standin, vector_for};
use serde_json::{Value, json};
use support::PROJECT;

use crate::sdk::ask_sdk;

const TASK: &str = "RETRIEVAL_DOCUMENT";

/// Of these texts, unless `change` says otherwise.
fn ask(standin: &Standin, model: &str, texts: &[&str], change: Value) -> Value {
    let account: Value = serde_json::from_str(&standin.service_account()).unwrap();
    let mut question = json!({
        "base_url": standin.vertex_url(), "credentials": account, "project": PROJECT, "location": "global",
        "model": model, "texts": texts, "task_type": TASK,
    });
    let fields = question.as_object_mut().unwrap();
    fields.extend(change.as_object().unwrap().clone());
    ask_sdk(&question)
}

#[track_caller]
fn same(answer: &Value, model: &str, texts: &[&str], dimensions: usize) {
    let vectors = answer["vectors"]
        .as_array()
        .unwrap_or_else(|| panic!("no vectors: {answer}"));
    assert_eq!(vectors.len(), texts.len());
    for (text, vector) in texts.iter().zip(vectors) {
        let read = |value: &Value| value.as_f64().unwrap() as f32;
        let vector: Vec<f32> = vector.as_array().unwrap().iter().map(read).collect();
        assert_eq!(vector, vector_for(text, model, dimensions, TASK), "{text}");
    }
}

#[test]
fn the_official_sdk_signs_in_and_gets_its_vectors() {
    let standin = Standin::start(Config {
        record: true,
        ..Config::default()
    });
    let texts = ["plain", "naïve café 日本語 👩‍👧", "two\nlines \"quoted\" \\"];
    for model in [
        "gemini-embedding-2",
        "gemini-embedding-001",
        "text-embedding-004",
        "text-embedding-005",
        "text-multilingual-embedding-002",
    ] {
        let dimensions = json!({"dimensions": 512});
        same(
            &ask(&standin, model, &texts, dimensions),
            model,
            &texts,
            512,
        );
        same(
            &ask(&standin, model, &texts[..1], json!({})),
            model,
            &texts[..1],
            whole(model),
        );
    }
    let asked = |method: &str| {
        let requests = standin.requests();
        requests
            .iter()
            .filter(|request| request.path.ends_with(method))
            .count()
    };
    let methods = ["/token", ":predict", ":embedContent", ":batchEmbedContents"].map(asked);
    assert_eq!(methods, [10, 6, 2, 2]);
}

/// The dimensions of a whole vector.
fn whole(model: &str) -> usize {
    if model.starts_with("gemini") {
        3072
    } else {
        768
    }
}

#[test]
fn the_official_sdk_understands_what_is_said_beside_the_vectors() {
    let standin = Standin::start(Config::default());
    let long = "word ".repeat(2100);
    let answer = ask(
        &standin,
        "text-embedding-004",
        &[&long, "Hello, world!"],
        json!({}),
    );
    assert_eq!(answer["statistics"], json!([[2048.0, true], [4.0, false]]));
    assert_eq!(answer["metadata"], 2100 * 4 + 12);
    let whole = json!({"auto_truncate": false});
    let answer = ask(&standin, "text-embedding-004", &[&long], whole);
    assert_eq!(answer["error"]["code"], 400);
}

#[test]
fn the_official_sdk_is_refused_as_google_refuses() {
    let standin = Standin::start(Config::default());
    let refused =
        |change: Value| ask(&standin, "text-embedding-005", &["a"], change)["error"].clone();
    assert_eq!(
        refused(json!({"project": "another"}))["status"],
        "PERMISSION_DENIED"
    );
    assert_eq!(
        refused(json!({"location": "africa-south1"}))["status"],
        "NOT_FOUND"
    );
    let mut account: Value = serde_json::from_str(&standin.service_account()).unwrap();
    account["client_email"] = "else@stand-in.iam.gserviceaccount.com".into();
    assert_eq!(
        refused(json!({"credentials": account}))["error"],
        "invalid_grant"
    );
    standin.set(|config| config.clock_ahead = 600);
    let error = refused(json!({}));
    assert!(
        error["error_description"]
            .as_str()
            .unwrap()
            .contains("reasonable timeframe"),
        "{error}"
    );
    standin.set(|config| {
        config.clock_ahead = 0;
        config.tokens_per_minute = Some(0);
    });
    assert_eq!(refused(json!({}))["status"], "RESOURCE_EXHAUSTED");
}
