//! What Google's front end refuses before anyone reads the body: keys, paths, models, sizes.

mod common;

use common::*;
use google_standin::Config;
use serde_json::json;

#[test]
fn keys_are_checked_before_anything_else() {
    let (standin, mut client) = start(Config {
        key: "AIza-old".into(),
        ..Config::default()
    });
    let old = "x-goog-api-key: AIza-old\r\n";
    for (query, header, status, said) in [
        ("", "", 403, "Method doesn't allow unregistered callers"),
        ("", "x-goog-api-key: \r\n", 403, "unregistered callers"),
        ("", "X-Goog-Api-Key: nonsense\r\n", 400, "API_KEY_INVALID"),
        ("?key=nonsense", "", 400, "API_KEY_INVALID"),
        ("?key=AQ.new", "", 401, "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        ("?key=AQ.new", old, 401, "UNAUTHENTICATED"),
        ("?alt=json&key=AIza-old", "", 400, "Invalid JSON"),
        ("", old, 400, "Invalid JSON"),
    ] {
        let path = batch_path(MODEL);
        client.send(
            format!("POST {path}{query} HTTP/1.1\r\n{header}Content-Length: 2\r\n\r\n}}{{")
                .as_bytes(),
        );
        let answer = client.receive().unwrap();
        let body = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, status, "{query} {header}");
        assert!(body.contains(said), "{body}");
    }
    standin.set(|config| config.key = "AQ.new".into());
    let request = String::from_utf8(request(&batch_path(MODEL), "{}")).unwrap();
    client.send(request.replace(KEY, "AQ.new").as_bytes());
    assert!(client.receive().unwrap().message().contains("requests"));
}

#[test]
fn unknown_and_retired_models_are_not_found() {
    let (_standin, mut client) = start(Config::default());
    for version in ["v1", "v1beta"] {
        for model in [
            "nonexistent-model",
            "text-embedding-004",
            "embedding-001",
            "a\"b",
        ] {
            let path = format!("/{version}/models/{model}:batchEmbedContents");
            let answer = client.post(&path, &batch(model, &["a"], 768));
            assert_eq!(
                (answer.status, &answer.json()["error"]["status"]),
                (404, &json!("NOT_FOUND"))
            );
            assert_eq!(
                answer.message(),
                format!(
                    "models/{model} is not found for API version {version}, or is not supported for \
                     embedContent. Call ListModels to see the list of available models and their \
                     supported methods."
                )
            );
        }
    }
}

#[test]
fn wrong_paths_and_methods_are_not_found() {
    let (standin, mut client) = start(Config::default());
    for (method, path) in [
        ("GET", batch_path(MODEL)),
        ("POST", format!("/v2/models/{MODEL}:batchEmbedContents")),
        ("POST", format!("/v1beta/models/{MODEL}:predict")),
        ("POST", format!("/v1beta/models/{MODEL}")),
        ("POST", format!("/v1beta{}", batch_path(MODEL))),
        ("POST", "/".into()),
    ] {
        client
            .send(format!("{method} {path} HTTP/1.1\r\nx-goog-api-key: {KEY}\r\n\r\n").as_bytes());
        let answer = client.receive().unwrap();
        assert_eq!(answer.status, 404, "{method} {path}");
        assert_eq!(
            answer.header("content-type"),
            Some("text/html; charset=UTF-8")
        );
    }
    assert_eq!(standin.stats().answered_error, 6);
}

#[test]
fn a_body_over_twenty_mebibytes_is_refused_and_the_connection_goes_on() {
    const LIMIT: usize = 20_971_520;
    let (_standin, mut client) = start(Config::default());
    for (size, said) in [
        (LIMIT, "Invalid JSON"),
        (LIMIT + 1, "exceeds the limit: 20971520 bytes."),
    ] {
        client.send(&request(&batch_path(MODEL), &"x".repeat(size)));
        let answer = client.receive().unwrap();
        assert_eq!(answer.status, 400);
        assert!(answer.message().contains(said), "{size}");
    }
    assert_eq!(embed(&mut client, MODEL, &["a"], 128).status, 200);
}
