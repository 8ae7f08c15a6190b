//! What Google refuses, the stand-in refuses with the same body. A table that would pass wrongly if an answer were
//! matched by its status alone, so each row names a piece of the message too.

mod common;

use common::*;
use google_standin::Config;
use serde_json::{Value, json};

fn lone(sub_request: Value) -> Value {
    json!({"requests": [sub_request]})
}

/// A good sub-request with these fields added or, where null, taken away.
fn with(change: Value) -> Value {
    let mut request = json!({
        "model": format!("models/{MODEL}"),
        "content": {"parts": [{"text": "a"}]},
        "outputDimensionality": 128,
    });
    let fields = request.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        fields.insert(name.clone(), value.clone());
    }
    lone(request)
}

#[test]
fn each_mistake_in_a_body_is_refused_by_name() {
    let (_standin, mut client) = start(Config::default());
    let unknown = "Invalid JSON payload received. Unknown name";
    for (body, message) in [
        (json!([]), "Root element must be a message."),
        (json!({}), "BatchEmbedContentsRequest.requests"),
        (
            json!({"requests": []}),
            "BatchEmbedContentsRequest.requests",
        ),
        (
            json!({"requests": [], "extra": 1}),
            &format!("{unknown} \"extra\": Cannot find field."),
        ),
        (
            with(json!({"totallyNotAField": 1})),
            &format!("{unknown} \"totallyNotAField\" at 'requests[0]': Cannot find field."),
        ),
        (
            with(json!({"autoTruncate": true})),
            &format!("{unknown} \"autoTruncate\" at 'requests[0]'"),
        ),
        (
            with(json!({"content": {"parts": [{"text": "a", "x": 1}]}})),
            &format!("{unknown} \"x\" at 'requests[0].content.parts[0]'"),
        ),
        (
            with(json!({"embedContentConfig": {"x": 1}})),
            &format!("{unknown} \"x\" at 'requests[0].embed_content_config'"),
        ),
        (
            with(json!({"model": null})),
            "* BatchEmbedContentsRequest.requests[0].model: model is not specified\n",
        ),
        (with(json!({"model": ""})), "model is not specified"),
        (
            with(json!({"model": MODEL})),
            "unexpected model name format",
        ),
        (
            with(json!({"model": "models/gemini-embedding-001"})),
            "does not match",
        ),
        (
            with(json!({"model": 7})),
            "'requests[0].model' (TYPE_STRING), 7",
        ),
        (with(json!({"content": null})), "content is not specified"),
        (with(json!({"content": {}})), "contains an empty Part."),
        (
            with(json!({"content": {"parts": [{}]}})),
            "contains an empty Part.",
        ),
        (
            with(json!({"content": {"parts": [{"text": ""}]}})),
            "EmbedContentRequest.content contains an empty Part.",
        ),
        (
            with(json!({"content": {"parts": [{"text": "a"}, {"text": ""}]}})),
            "contains an empty Part.",
        ),
        (
            with(json!({"outputDimensionality": 127})),
            "between 128 and 3072, got 127",
        ),
        (with(json!({"outputDimensionality": 3073})), "got 3073"),
        (with(json!({"outputDimensionality": 0})), "got 0"),
        (with(json!({"outputDimensionality": -768})), "got -768"),
        (
            with(json!({"outputDimensionality": 768.5})),
            "(TYPE_INT32), 768.5",
        ),
        (
            with(json!({"outputDimensionality": "many"})),
            "(TYPE_INT32), \"many\"",
        ),
        (
            with(json!({"taskType": "RETRIEVAL_DOCUMENTS"})),
            "'requests[0].task_type' (type.googleapis.com/google.ai.generativelanguage",
        ),
        (with(json!({"taskType": 9})), "TaskType"),
        (with(json!({"title": "T"})), "title is only applicable"),
        (
            with(json!({"title": "T", "taskType": "RETRIEVAL_QUERY"})),
            "title is only applicable",
        ),
    ] {
        let answer = client.post(&batch_path(MODEL), &body);
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.json()["error"]["status"], "INVALID_ARGUMENT");
        let got = answer.message();
        assert!(got.contains(message), "{body}\n{got}\n{message}");
    }
}

#[test]
fn what_protojson_allows_is_served() {
    let (_standin, mut client) = start(Config::default());
    for (body, dimensions) in [
        (with(json!({})), 128),
        (with(json!({"outputDimensionality": null})), 3072),
        (with(json!({"outputDimensionality": "256"})), 256),
        (with(json!({"outputDimensionality": 256.0})), 256),
        (
            lone(
                json!({"model": format!("models/{MODEL}"), "output_dimensionality": 256,
                "content": {"parts": [{"text": "a"}]}}),
            ),
            256,
        ),
        (
            with(json!({"embedContentConfig": {"outputDimensionality": 300}})),
            300,
        ),
        (
            with(
                json!({"embed_content_config": {"output_dimensionality": 300, "task_type": 1,
                "autoTruncate": false, "documentOcr": true, "audio_track_extraction": false}}),
            ),
            300,
        ),
        (
            with(json!({"title": "T", "taskType": "RETRIEVAL_DOCUMENT"})),
            128,
        ),
        (
            with(json!({"taskType": 2, "content": {"role": "user", "parts": {"text": " "}}})),
            128,
        ),
    ] {
        let vectors = client.post(&batch_path(MODEL), &body).vectors();
        assert_eq!(vectors[0].len(), dimensions, "{body}");
    }
}

#[test]
fn several_violations_come_in_one_answer() {
    let (_standin, mut client) = start(Config::default());
    let answer = client.post(
        &batch_path(MODEL),
        &with(json!({"a": 1, "outputDimensionality": []})),
    );
    let json = answer.json();
    assert_eq!(
        json["error"]["message"].as_str().unwrap().lines().count(),
        2
    );
    let violations = &json["error"]["details"][0]["fieldViolations"];
    assert_eq!(violations[0]["field"], "requests[0].output_dimensionality");
    assert_eq!(violations[1]["field"], "requests[0]");
}

#[test]
fn what_is_no_json_is_refused() {
    let (_standin, mut client) = start(Config::default());
    for body in [
        "",
        "{",
        "{\"requests\":[}",
        "\u{feff}{}",
        "{} {}",
        "{\"a\":1e}",
    ] {
        client.send(&request(&batch_path(MODEL), body));
        let answer = client.receive().unwrap();
        assert_eq!(answer.status, 400, "{body}");
        assert!(
            answer
                .message()
                .starts_with("Invalid JSON payload received.")
        );
    }
}

#[test]
fn a_hundred_requests_are_served_and_one_more_is_not() {
    let (_standin, mut client) = start(Config::default());
    let texts = vec!["a"; 101];
    assert_eq!(
        embed(&mut client, MODEL, &texts[..100], 128)
            .vectors()
            .len(),
        100
    );
    let answer = embed(&mut client, MODEL, &texts, 128);
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.message(),
        "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n"
    );
}

#[test]
fn too_long_a_text_is_cut_unless_that_is_forbidden() {
    let (standin, mut client) = start(Config::default());
    let long = "word ".repeat(2100);
    let cut = "word ".repeat(2048);
    let vectors = embed(&mut client, OLD_MODEL, &[&long, &cut], 128).vectors();
    assert_eq!(vectors[0], vectors[1]);
    assert_eq!(vectors[0], google_standin::vector(&long, OLD_MODEL, 128));
    assert_eq!(standin.stats().tokens, 2 * 2048);
    let mut body = batch(OLD_MODEL, &[&long], 128);
    body["requests"][0]["embedContentConfig"] = json!({"autoTruncate": false});
    let answer = client.post(&batch_path(OLD_MODEL), &body);
    assert_eq!(answer.status, 400);
    let said = "input token count is 2100 but the model supports up to 2048";
    assert!(answer.message().contains(said), "{}", answer.message());
}
