//! Vertex AI on the wire: the vectors of the Gemini API by other methods, and what is told beside them.

mod common;

use common::*;
use google_standin::{Config, Standin, vector, vector_for};
use serde_json::json;

const MULTILINGUAL: &str = "text-multilingual-embedding-002";

#[test]
fn predictions_are_the_vectors_of_their_texts() {
    let standin = Standin::start(Config::default());
    for model in [TEXT_MODEL, "text-embedding-005", MULTILINGUAL] {
        let answer = predict(&standin, model, &instances(&["Hello, world!", "b"]));
        let right = [vector("Hello, world!", model, 768), vector("b", model, 768)];
        assert_eq!(predicted(&answer), right);
        let json = answer.json();
        let statistics = json!({"token_count": 4, "truncated": false});
        assert_eq!(
            json["predictions"][0]["embeddings"]["statistics"],
            statistics
        );
        // White space is free, as in the recorded answer to this text.
        assert_eq!(json["metadata"]["billableCharacterCount"], 12 + 1);
    }
    let stats = standin.stats();
    assert_eq!((stats.texts_billed, stats.tokens), (6, 15));
}

#[test]
fn a_prediction_is_laid_out_as_recorded() {
    let standin = Standin::start(Config::default());
    let answer = predict(&standin, TEXT_MODEL, &instances(&["a", "b"]));
    let beginning = "{\n  \"predictions\": [\n    {\n      \"embeddings\": {\n        \"statistics\": {\n          \
                     \"token_count\": 1,\n          \"truncated\": false\n        },\n        \"values\": [\n          ";
    assert!(answer.body.starts_with(beginning.as_bytes()));
    let end = "\n        ]\n      }\n    }\n  ],\n  \"metadata\": {\n    \"billableCharacterCount\": 2\n  }\n}\n";
    assert!(answer.body.ends_with(end.as_bytes()));
}

#[test]
fn each_form_may_be_had_without_white_space() {
    let standin = Standin::start(Config::default());
    let embed = json!({"content": {"parts": [{"text": "a"}]}});
    for (model, method, body) in [
        (TEXT_MODEL, "predict", instances(&["a", "b"])),
        (MODEL, "embedContent", embed.clone()),
        (
            MODEL,
            "batchEmbedContents",
            json!({"requests": [embed, embed]}),
        ),
    ] {
        let pretty = bearing(&standin, &vertex_path(model, method), &body);
        let compact = vertex_path(model, method) + "?prettyPrint=false";
        let compact = bearing(&standin, &compact, &body);
        let (last, rest) = compact.body.split_last().unwrap();
        assert_eq!(*last, b'\n');
        assert!(!rest.iter().any(u8::is_ascii_whitespace), "{method}");
        assert_eq!(compact.json(), pretty.json(), "{method}");
    }
}

#[test]
fn options_of_a_prediction_are_heeded() {
    let standin = Standin::start(Config::default());
    let mut body = instances(&["a"]);
    body["parameters"] = json!({"outputDimensionality": 256, "autoTruncate": false});
    body["instances"][0]["task_type"] = "RETRIEVAL_DOCUMENT".into();
    let right = vector_for("a", TEXT_MODEL, 256, "RETRIEVAL_DOCUMENT");
    assert_eq!(predicted(&predict(&standin, TEXT_MODEL, &body)), [right]);
    body["instances"][0]["title"] = "T".into();
    let right = vector_for("T\na", TEXT_MODEL, 256, "RETRIEVAL_DOCUMENT");
    assert_eq!(predicted(&predict(&standin, TEXT_MODEL, &body)), [right]);
}

#[test]
fn both_apis_give_the_same_vector() {
    let (standin, mut client) = start(Config::default());
    let right = embed(&mut client, OLD_MODEL, &["a"], 768).vectors();
    let mut body = instances(&["a"]);
    body["parameters"]["outputDimensionality"] = 768.into();
    assert_eq!(predicted(&predict(&standin, OLD_MODEL, &body)), right);
    for model in [MODEL, OLD_MODEL] {
        let right = embed(&mut client, model, &["a", "b"], 768).vectors();
        let sub = |text| json!({"content": {"parts": [{"text": text}]}, "embedContentConfig": {"outputDimensionality": 768}});
        let body = json!({"requests": [sub("a"), sub("b")]});
        let answer = bearing(&standin, &vertex_path(model, "batchEmbedContents"), &body);
        assert_eq!(answer.vectors(), right);
        let usage = json!({
            "promptTokenCount": 2,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}],
            "totalTokenCount": 2,
        });
        assert_eq!(answer.json()["usageMetadata"], usage);
        let answer = bearing(&standin, &vertex_path(model, "embedContent"), &sub("a")).json();
        assert_eq!(values(&answer["embedding"]), right[0]);
        assert_eq!(answer["truncated"], false);
    }
}

#[test]
fn what_is_cut_is_told_or_refused() {
    let standin = Standin::start(Config::default());
    let long = "word ".repeat(2100);
    let mut body = instances(&[&long, "a"]);
    let answer = predict(&standin, TEXT_MODEL, &body);
    assert_eq!(predicted(&answer)[0], vector(&long, TEXT_MODEL, 768));
    let json = answer.json();
    let statistics = |at: usize| json["predictions"][at]["embeddings"]["statistics"].clone();
    assert_eq!(
        statistics(0),
        json!({"token_count": 2048, "truncated": true})
    );
    assert_eq!(statistics(1), json!({"token_count": 1, "truncated": false}));
    body["parameters"]["autoTruncate"] = false.into();
    let answer = predict(&standin, TEXT_MODEL, &body);
    assert_eq!(answer.status, 400);
    assert!(
        answer
            .message()
            .contains("is 2100 but the model supports up to 2048")
    );
}
