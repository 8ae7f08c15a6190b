//! What Vertex AI refuses, the stand-in refuses with the same body where one was seen.

mod common;

use common::*;
use google_standin::{ApiError, Config, Standin};
use serde_json::{Value, json};

#[test]
fn a_request_has_its_limits() {
    let standin = Standin::start(Config::default());
    let texts = vec!["a"; 251];
    assert_eq!(
        predicted(&predict(&standin, TEXT_MODEL, &instances(&texts[..250]))).len(),
        250
    );
    let answer = predict(&standin, TEXT_MODEL, &instances(&texts));
    assert_eq!(answer.json(), recorded("400_vertex_too_many_instances"));
    let answer = predict(&standin, TEXT_MODEL, &instances(&[]));
    assert_eq!(answer.json(), recorded("400_vertex_empty_instances"));
    let long = "word ".repeat(2000);
    let mut texts = vec![long.as_str(); 10];
    assert_eq!(
        predict(&standin, TEXT_MODEL, &instances(&texts)).status,
        200
    );
    texts.push("a");
    let answer = predict(&standin, TEXT_MODEL, &instances(&texts));
    assert_eq!(answer.status, 400);
    assert!(
        answer
            .message()
            .contains("is 20001 but the model supports up to 20000")
    );
}

fn recorded(name: &str) -> Value {
    serde_json::from_str(&ApiError::recorded(name).json()).unwrap()
}

#[test]
fn each_mistake_in_a_prediction_is_refused() {
    let standin = Standin::start(Config::default());
    for (body, message) in [
        (json!([]), "Root element must be a message."),
        (
            json!({"instances": [{"content": "a"}], "x": 1}),
            "Unknown name \"x\"",
        ),
        (
            json!({"instances": ["a"]}),
            "instances[0]: must be an object",
        ),
        (
            json!({"instances": [{"content": "a"}, {}]}),
            "The text content is empty.",
        ),
        (
            json!({"instances": [{"content": ""}]}),
            "The text content is empty.",
        ),
        (
            json!({"instances": [{"content": 1}]}),
            "instances[0].content",
        ),
        (
            json!({"instances": [{"content": "a", "taskType": "CLUSTERING"}]}),
            "unknown field \"taskType\"",
        ),
        (
            json!({"instances": [{"content": "a", "task_type": "CLUSTER"}]}),
            "instances[0].task_type",
        ),
        (
            json!({"instances": [{"content": "a", "title": "T"}]}),
            "title is only applicable",
        ),
        (
            json!({"instances": [{"content": "a"}], "parameters": {"auto_truncate": true}}),
            "auto_truncate",
        ),
        (
            json!({"instances": [{"content": "a"}], "parameters": {"autoTruncate": 1}}),
            "autoTruncate",
        ),
        (
            json!({"instances": [{"content": "a"}], "parameters": {"outputDimensionality": 0.5}}),
            "outputDim",
        ),
        (
            json!({"instances": [{"content": "a"}], "parameters": {"outputDimensionality": 769}}),
            "and 768, got 769",
        ),
    ] {
        let answer = predict(&standin, TEXT_MODEL, &body);
        assert_eq!(answer.status, 400, "{body}");
        let got = answer.message();
        assert!(got.contains(message), "{body}\n{got}\n{message}");
    }
}

#[test]
fn each_mistake_in_a_batch_is_refused() {
    let standin = Standin::start(Config::default());
    let good = json!({"content": {"parts": [{"text": "a"}]}});
    let with = |change: Value| {
        let mut request = good.clone();
        let fields = request.as_object_mut().unwrap();
        fields.extend(change.as_object().unwrap().clone());
        json!({"requests": [good, request]})
    };
    let resource = format!("projects/stand-in/locations/global/publishers/google/models/{MODEL}");
    for good in [
        with(json!({"model": ""})),
        with(json!({"model": resource})),
        with(json!({"autoTruncate": true})),
        with(json!({"embedContentConfig": {"taskType": "UNSPECIFIED"}})),
    ] {
        let answer = bearing(&standin, &vertex_path(MODEL, "batchEmbedContents"), &good);
        assert_eq!(answer.vectors().len(), 2, "{good}");
    }
    for (body, message) in [
        (
            with(json!({"model": "models/gemini-embedding-2"})),
            "does not match",
        ),
        (
            with(json!({"taskType": "TASK_TYPE_UNSPECIFIED"})),
            "EmbeddingTaskType",
        ),
        (
            with(json!({"outputDimensionality": 768})),
            "same output dimensionality",
        ),
        (
            with(json!({"embedContentConfig": {"autoTruncate": false}})),
            "auto truncation",
        ),
        (
            json!({"requests": vec![&good; 251]}),
            "at most 250 requests",
        ),
        (with(json!({"x": 1})), "Unknown name \"x\" at 'requests[1]'"),
    ] {
        let answer = bearing(&standin, &vertex_path(MODEL, "batchEmbedContents"), &body);
        assert_eq!(answer.status, 400, "{body}");
        let got = answer.message();
        assert!(got.contains(message), "{body}\n{got}\n{message}");
    }
}

#[test]
fn where_a_model_is_not_served_is_said() {
    let standin = Standin::start(Config::default());
    for path in [
        vertex_path("text-embedding-006", "predict"),
        vertex_path(MODEL, "predict"),
        vertex_path(TEXT_MODEL, "embedContent"),
        vertex_path(TEXT_MODEL, "batchEmbedContents"),
        vertex_path(TEXT_MODEL, "predict").replace("global", "africa-south1"),
    ] {
        let body = match path.rsplit_once(':').unwrap().1 {
            "predict" => instances(&["a"]),
            "embedContent" => json!({"content": {"parts": [{"text": "a"}]}}),
            _ => json!({"requests": [{"content": {"parts": [{"text": "a"}]}}]}),
        };
        let answer = bearing(&standin, &path, &body);
        assert_eq!(answer.status, 404, "{path}");
        let (resource, _) = path.strip_prefix("/v1/").unwrap().split_once(':').unwrap();
        assert!(
            answer
                .message()
                .starts_with(&format!("Publisher Model `{resource}` was not found"))
        );
    }
    // The Gemini API has them no more.
    let mut client = Client::new(&standin);
    assert_eq!(embed(&mut client, TEXT_MODEL, &["a"], 768).status, 404);
}

#[test]
fn another_project_is_not_the_accounts() {
    let standin = Standin::start(Config::default());
    let path = vertex_path(TEXT_MODEL, "predict").replace("stand-in", "another");
    let answer = bearing(&standin, &path, &instances(&["a"]));
    assert_eq!(answer.status, 403);
    assert!(
        answer
            .message()
            .contains("//aiplatform.googleapis.com/projects/another/locations/global")
    );
    assert_eq!(
        answer.json()["error"]["details"][0]["reason"],
        "IAM_PERMISSION_DENIED"
    );
}

#[test]
fn a_quota_says_neither_which_nor_when() {
    let standin = Standin::start(Config {
        tokens_per_minute: Some(2),
        ..Config::default()
    });
    let answer = predict(&standin, TEXT_MODEL, &instances(&["one two three"]));
    assert_eq!(answer.status, 429);
    assert_eq!(answer.json(), recorded("429_vertex_resource_exhausted"));
    assert_eq!(
        predict(&standin, TEXT_MODEL, &instances(&["one two"])).status,
        200
    );
}

#[test]
fn only_a_good_token_opens_it() {
    let standin = Standin::start(Config::default());
    let reason = |headers: &[&str]| {
        let body = instances(&["a"]).to_string();
        let answer =
            Client::new(&standin).ask("POST", &vertex_path(TEXT_MODEL, "predict"), headers, &body);
        assert_eq!(answer.status, 401, "{headers:?}");
        let error = &answer.json()["error"];
        assert_eq!(error["status"], "UNAUTHENTICATED");
        let info = &error["details"][0];
        assert_eq!(
            info["metadata"]["method"],
            "google.cloud.aiplatform.v1.PredictionService.Predict"
        );
        info["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason(&[]), "CREDENTIALS_MISSING");
    assert_eq!(
        reason(&[&format!("x-goog-api-key: {KEY}")]),
        "CREDENTIALS_MISSING"
    );
    assert_eq!(
        reason(&["Authorization: Bearer ya29.c.mine"]),
        "ACCESS_TOKEN_TYPE_UNSUPPORTED"
    );
    let other = Standin::start(Config::default()).access_token();
    let bearer = format!("Authorization: Bearer {other}");
    assert_eq!(reason(&[&bearer]), "ACCESS_TOKEN_TYPE_UNSUPPORTED");
    let bearer = format!("Authorization: Bearer {}", standin.access_token());
    standin.accounts().expire();
    assert_eq!(reason(&[&bearer]), "ACCESS_TOKEN_EXPIRED");
    assert_eq!(standin.stats().texts, 0);
}
