//! Quotas on the wire: which body a client gets, what it may use up, and that a window opens again.

mod common;

use std::thread;
use std::time::Duration;

use common::*;
use google_standin::Config;
use serde_json::Value;

/// The detail of this type; the order of details is nothing to rely on.
fn detail(body: &Value, name: &str) -> Option<Value> {
    let details = body["error"]["details"].as_array()?.iter();
    let mut details = details.filter(|detail| detail["@type"].as_str().unwrap().ends_with(name));
    details.next().cloned()
}

#[test]
fn texts_are_counted_and_not_requests() {
    let (standin, mut client) = start(Config {
        texts_per_minute: Some(100),
        ..Config::default()
    });
    assert_eq!(embed(&mut client, OLD_MODEL, &["a"; 60], 128).status, 200);
    let answer = embed(&mut client, OLD_MODEL, &["a"; 41], 128);
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), None);
    let body = answer.json();
    let violation = &detail(&body, "QuotaFailure").unwrap()["violations"][0];
    assert_eq!(
        violation["quotaId"],
        "EmbedContentRequestsPerMinutePerUserPerProjectPerModel-FreeTier"
    );
    assert_eq!(violation["quotaValue"], "100");
    assert_eq!(
        violation["quotaDimensions"]["model"],
        "gemini-embedding-1.0"
    );
    let delay = detail(&body, "RetryInfo").unwrap()["retryDelay"].clone();
    let message = answer.message();
    let (_, after) = message.rsplit_once("\nPlease retry in ").unwrap();
    let seconds: f64 = after.strip_suffix("s.").unwrap().parse().unwrap();
    assert!((50.0..=60.0).contains(&seconds), "{message}");
    assert_eq!(delay, format!("{}s", seconds.floor()));
    assert!(message.contains("limit: 100, model: gemini-embedding-1.0"));
    assert_eq!(embed(&mut client, OLD_MODEL, &["a"; 40], 128).status, 200);
    let stats = standin.stats();
    assert_eq!(
        (stats.texts, stats.texts_billed, stats.answered_429),
        (141, 100, 1)
    );
}

#[test]
fn tokens_are_counted_too() {
    let (_standin, mut client) = start(Config {
        tokens_per_minute: Some(10),
        ..Config::default()
    });
    assert_eq!(
        embed(&mut client, MODEL, &["one two three"; 3], 128).status,
        200
    );
    let answer = embed(&mut client, MODEL, &["one two"], 128);
    assert_eq!(answer.status, 429);
    let said = "embed_content_free_tier_input_token_count, limit: 10, model: gemini-embedding-2\n";
    assert!(answer.message().contains(said), "{}", answer.message());
    assert!(detail(&answer.json(), "RetryInfo").is_some());
}

#[test]
fn a_daily_quota_still_asks_to_retry_soon() {
    let (_standin, mut client) = start(Config {
        texts_per_day: Some(2),
        ..Config::default()
    });
    assert_eq!(embed(&mut client, MODEL, &["a"; 2], 128).status, 200);
    let body = embed(&mut client, MODEL, &["a"], 128).json();
    let violation = &detail(&body, "QuotaFailure").unwrap()["violations"][0];
    assert!(violation["quotaId"].as_str().unwrap().contains("PerDay"));
    assert_eq!(violation["quotaValue"], "2");
    assert_eq!(detail(&body, "RetryInfo").unwrap()["retryDelay"], "2s");
}

#[test]
fn a_quota_of_nothing_says_limit_0() {
    let (_standin, mut client) = start(Config {
        texts_per_minute: Some(0),
        ..Config::default()
    });
    let answer = embed(&mut client, MODEL, &["a"], 128);
    assert_eq!(answer.status, 429);
    assert!(
        answer
            .message()
            .contains("limit: 0, model: gemini-embedding-2")
    );
    let violation = &detail(&answer.json(), "QuotaFailure").unwrap()["violations"][0];
    assert_eq!(violation["quotaValue"], "0");
}

#[test]
fn a_client_that_waits_as_told_is_served() {
    let (standin, mut client) = start(Config {
        texts_per_minute: Some(1),
        minute: Duration::from_secs(1),
        ..Config::default()
    });
    let mut served = 0;
    while served < 3 {
        let answer = embed(&mut client, MODEL, &["a"], 128);
        if answer.status == 200 {
            served += 1;
            continue;
        }
        let told = detail(&answer.json(), "RetryInfo").unwrap()["retryDelay"].clone();
        let told = told.as_str().unwrap().trim_end_matches('s').parse();
        thread::sleep(Duration::from_secs_f64(told.unwrap()));
    }
    let stats = standin.stats();
    assert_eq!((stats.texts_billed, stats.answered_429), (3, 2));
}

#[test]
fn limits_change_while_it_runs() {
    let (standin, mut client) = start(Config {
        texts_per_minute: Some(1),
        ..Config::default()
    });
    assert_eq!(embed(&mut client, MODEL, &["a"; 2], 128).status, 429);
    standin.set(|config| config.texts_per_minute = None);
    assert_eq!(embed(&mut client, MODEL, &["a"; 2], 128).status, 200);
}
