//! What is served is what the oracle says, bit for bit, in Google's layout, with the usage that each model gives.

mod common;

use common::*;
use google_standin::{Config, vector, vector_for};
use serde_json::json;

#[test]
fn each_text_gets_the_oracles_vector_in_its_place() {
    let (standin, mut client) = start(Config::default());
    let texts = [
        "hello",
        "world",
        "title: none | text: hello",
        "\u{1f600}\n\t\"",
        "hello",
    ];
    for model in [MODEL, OLD_MODEL] {
        for dimensions in [128, 300, 768, 1000, 1536, 3072] {
            let vectors = embed(&mut client, model, &texts, dimensions).vectors();
            let expected: Vec<_> = texts
                .iter()
                .map(|text| vector(text, model, dimensions))
                .collect();
            assert_eq!(vectors, expected, "{model} {dimensions}");
            assert_eq!(standin.vector("hello", model, dimensions), expected[0]);
        }
    }
}

#[test]
fn a_request_may_mix_sizes_and_both_versions_serve_it() {
    let (_standin, mut client) = start(Config::default());
    let mut body = batch(MODEL, &["a", "b"], 768);
    body["requests"][1]["outputDimensionality"] = 200.into();
    for version in ["v1", "v1beta"] {
        let path = format!("/{version}/models/{MODEL}:batchEmbedContents");
        let vectors = client.post(&path, &body).vectors();
        assert_eq!(vectors, [vector("a", MODEL, 768), vector("b", MODEL, 200)]);
    }
}

#[test]
fn several_parts_make_one_vector() {
    let (standin, mut client) = start(Config::default());
    let mut body = batch(MODEL, &["a"], 768);
    body["requests"][0]["content"]["parts"] = json!([{"text": "a"}, {"text": "b"}]);
    let vectors = client.post(&batch_path(MODEL), &body).vectors();
    assert_eq!(vectors, [vector("a\nb", MODEL, 768)]);
    assert_eq!(standin.stats().texts_billed, 1);
}

#[test]
fn only_the_old_model_heeds_the_task_type() {
    let (_standin, mut client) = start(Config::default());
    for model in [MODEL, OLD_MODEL] {
        let mut body = batch(model, &["a"], 768);
        let plain = client.post(&batch_path(model), &body).vectors();
        body["requests"][0]["taskType"] = "RETRIEVAL_DOCUMENT".into();
        let document = client.post(&batch_path(model), &body).vectors();
        assert_eq!(document == plain, model == MODEL);
        assert_eq!(
            document,
            [vector_for("a", model, 768, "RETRIEVAL_DOCUMENT")]
        );
        body["requests"][0]["title"] = "T".into();
        let titled = client.post(&batch_path(model), &body).vectors();
        assert_eq!(
            titled,
            [vector_for("T\na", model, 768, "RETRIEVAL_DOCUMENT")]
        );
    }
}

#[test]
fn usage_is_one_total_for_the_new_model_and_none_for_the_old() {
    let (standin, mut client) = start(Config::default());
    let texts = ["Ruby is a programmer's best friend", "hello"];
    let answer = embed(&mut client, MODEL, &texts, 768).json();
    let usage = json!({
        "promptTokenCount": 9,
        "promptTokenDetails": [{"modality": "TEXT", "tokenCount": 9}],
    });
    assert_eq!(answer["usageMetadata"], usage);
    let answer = embed(&mut client, OLD_MODEL, &texts, 768).json();
    assert_eq!(answer.as_object().unwrap().len(), 1);
    let stats = standin.stats();
    assert_eq!((stats.texts_billed, stats.tokens), (4, 18));
}

#[test]
fn a_lone_request_gets_a_lone_embedding() {
    let (_standin, mut client) = start(Config::default());
    let path = format!("/v1/models/{MODEL}:embedContent");
    for body in [
        json!({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 768}),
        batch(MODEL, &["a"], 768)["requests"][0].clone(),
    ] {
        let answer = client.post(&path, &body);
        let json = answer.json();
        assert_eq!(values(&json["embedding"]), vector("a", MODEL, 768));
        assert_eq!(json["usageMetadata"]["promptTokenCount"], 1);
        let lines = answer.body.split(|&byte| byte == b'\n').count();
        assert_eq!(lines, 768 + 16);
        assert!(
            answer
                .body
                .starts_with(b"{\n  \"embedding\": {\n    \"values\": [\n      ")
        );
    }
    let answer = client.post(&path, &json!({"requests": []}));
    assert!(answer.message().contains("Unknown name \"requests\""));
}

#[test]
fn small_vectors_are_had_where_the_limit_is_lowered() {
    let (_standin, mut client) = start(Config {
        min_dimensions: 3,
        ..Config::default()
    });
    let vectors = embed(&mut client, MODEL, &["a", "b"], 3).vectors();
    assert_eq!(vectors, [vector("a", MODEL, 3), vector("b", MODEL, 3)]);
    assert_ne!(vectors[0], vectors[1]);
    assert_eq!(embed(&mut client, MODEL, &["a"], 2).status, 400);
}
