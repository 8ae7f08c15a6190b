//! Who gets an access token: the service account for what it signs, the user for his refresh token, and the machine for
//! asking in the right way.

mod common;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::*;
use google_standin::{Accounts, Config, Standin};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

fn post(standin: &Standin, body: &str) -> Answer {
    Client::new(standin).ask("POST", "/token", &[FORM], body)
}

fn account(standin: &Standin) -> Value {
    serde_json::from_str(&standin.service_account()).unwrap()
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn claims(account: &Value) -> Value {
    let now = now();
    json!({
        "iss": account["client_email"], "scope": SCOPE, "aud": "https://oauth2.googleapis.com/token",
        "iat": now, "exp": now + 3600,
    })
}

/// The form with these claims, signed with the account's key.
fn signed(account: &Value, header: &Value, claims: &Value) -> String {
    let pem = account["private_key"].as_str().unwrap();
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key = KeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    let random = SystemRandom::new();
    key.sign(
        &RSA_PKCS1_SHA256,
        &random,
        message.as_bytes(),
        &mut signature,
    )
    .unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
    format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={message}.{signature}"
    )
}

fn header(account: &Value) -> Value {
    json!({"alg": "RS256", "typ": "JWT", "kid": account["private_key_id"]})
}

fn assertion(account: &Value) -> String {
    signed(account, &header(account), &claims(account))
}

#[track_caller]
fn refused(answer: &Answer, error: &str, description: &str) {
    let json = answer.json();
    assert_eq!(json["error"], error, "{json}");
    let got = json["error_description"].as_str().unwrap();
    assert!(got.contains(description), "{got}");
    assert!(matches!(answer.status, 400 | 401));
}

#[test]
fn what_the_account_signs_gets_a_token() {
    let standin = Standin::start(Config::default());
    let account = account(&standin);
    let answer = post(&standin, &assertion(&account));
    assert_eq!(answer.status, 200);
    let json = answer.json();
    assert_eq!(
        (&json["expires_in"], &json["token_type"]),
        (&json!(3599), &json!("Bearer"))
    );
    assert!(opens(&standin, &answer));
    // Whoever names no key leaves it to be found.
    let unnamed = signed(
        &account,
        &json!({"alg": "RS256", "typ": "JWT"}),
        &claims(&account),
    );
    assert!(opens(&standin, &post(&standin, &unnamed)));
    assert_eq!(standin.stats().grants, 2);
}

#[test]
fn each_mistake_in_an_assertion_is_refused() {
    let standin = Standin::start(Config::default());
    let good = account(&standin);
    let frame = "reasonable timeframe";
    for (claim, value, error, description) in [
        (
            "iss",
            json!("else@stand-in.iam.gserviceaccount.com"),
            "invalid_grant",
            "account not found",
        ),
        ("iss", Value::Null, "invalid_grant", "account not found"),
        (
            "aud",
            json!(good["token_uri"]),
            "invalid_grant",
            "Failed audience check",
        ),
        ("scope", json!(""), "invalid_scope", "scope"),
        (
            "scope",
            json!(format!("{SCOPE} x")),
            "invalid_scope",
            "scope",
        ),
        ("iat", json!(now() - 600), "invalid_grant", frame),
        ("iat", json!(now() + 600), "invalid_grant", frame),
        ("iat", Value::Null, "invalid_grant", frame),
        ("exp", json!(now() + 3700), "invalid_grant", frame),
        ("exp", json!(now() - 1), "invalid_grant", frame),
        ("exp", json!("soon"), "invalid_grant", frame),
    ] {
        let mut claims = claims(&good);
        claims[claim] = value;
        let answer = post(&standin, &signed(&good, &header(&good), &claims));
        refused(&answer, error, description);
    }
    let mut stranger = account(&Standin::start(Config::default()));
    stranger["client_email"] = good["client_email"].clone();
    stranger["private_key_id"] = good["private_key_id"].clone();
    refused(
        &post(&standin, &assertion(&stranger)),
        "invalid_grant",
        "Invalid JWT Signature.",
    );
    for header in [
        json!({"alg": "none", "kid": good["private_key_id"]}),
        json!({"alg": "RS256", "kid": "another"}),
    ] {
        let answer = post(&standin, &signed(&good, &header, &claims(&good)));
        refused(&answer, "invalid_grant", "Invalid JWT Signature.");
    }
    for body in ["grant_type=password", "grant_type", ""] {
        assert_eq!(post(&standin, body).status, 400, "{body}");
    }
    let json =
        Client::new(&standin).ask("POST", "/token", &["Content-Type: application/json"], "{}");
    refused(&json, "invalid_request", "");
    assert_eq!(standin.stats().grants, 0);
}

#[test]
fn a_clock_that_is_off_is_told_the_time() {
    for ahead in [600, -600] {
        let standin = Standin::start(Config {
            clock_ahead: ahead,
            ..Config::default()
        });
        let account = account(&standin);
        let there = now().checked_add_signed(ahead).unwrap();
        let answer = post(&standin, &assertion(&account));
        refused(&answer, "invalid_grant", "reasonable timeframe");
        // What is asked for by the clock that the refusal shows is given.
        let date = answer.header("date").unwrap();
        let minutes = there / 60 % 60;
        assert!(
            [minutes, (minutes + 1) % 60]
                .iter()
                .any(|minute| date.contains(&format!(":{minute:02}:")))
        );
        let mut claims = claims(&account);
        (claims["iat"], claims["exp"]) = (there.into(), (there + 3600).into());
        let answer = post(&standin, &signed(&account, &header(&account), &claims));
        assert!(opens(&standin, &answer));
    }
}

#[test]
fn a_refresh_token_gets_a_token() {
    let standin = Standin::start(Config::default());
    let user: Value = serde_json::from_str(&standin.authorized_user()).unwrap();
    let form = |name: &str, value: &str| {
        let field = |field: &str| match field == name {
            true => value.to_owned(),
            false => user[field].as_str().unwrap().replace('/', "%2F"),
        };
        let [id, secret, token] = ["client_id", "client_secret", "refresh_token"].map(field);
        format!(
            "grant_type=refresh_token&refresh_token={token}&client_id={id}&client_secret={secret}"
        )
    };
    let answer = post(&standin, &form("", ""));
    assert!(opens(&standin, &answer));
    assert_eq!(answer.json()["scope"], SCOPE);
    refused(
        &post(&standin, &form("client_secret", "x")),
        "invalid_client",
        "",
    );
    refused(
        &post(&standin, &form("refresh_token", "x")),
        "invalid_grant",
        "revoked",
    );
    standin.set(|config| config.revoked = true);
    refused(
        &post(&standin, &form("", "")),
        "invalid_grant",
        "expired or revoked",
    );
}

#[test]
fn a_revoked_account_keeps_the_tokens_it_has() {
    let standin = Standin::start(Config::default());
    let account = account(&standin);
    let answer = post(&standin, &assertion(&account));
    standin.set(|config| config.revoked = true);
    refused(
        &post(&standin, &assertion(&account)),
        "invalid_grant",
        "account not found",
    );
    assert!(opens(&standin, &answer));
}

#[test]
fn tokens_end() {
    let standin = Standin::start(Config {
        token_lifetime: Duration::ZERO,
        ..Config::default()
    });
    let account = account(&standin);
    let answer = post(&standin, &assertion(&account));
    assert_eq!(answer.json()["expires_in"], 0);
    assert!(!opens(&standin, &answer));
}

#[test]
fn stand_ins_that_share_accounts_know_each_others_tokens() {
    let accounts = Accounts::default();
    let shared = || {
        Standin::start(Config {
            accounts: accounts.clone(),
            ..Config::default()
        })
    };
    let (gate, models) = (shared(), shared());
    let answer = post(&gate, &assertion(&account(&gate)));
    assert!(opens(&models, &answer));
    accounts.expire();
    assert!(!opens(&models, &answer));
}

#[test]
fn the_metadata_server_wants_its_header() {
    let standin = Standin::start(Config::default());
    let ask = |path: &str, headers: &[&str]| {
        let path = format!("/computeMetadata/v1/{path}");
        Client::new(&standin).ask("GET", &path, headers, "")
    };
    let token = "instance/service-accounts/default/token";
    let flavor = "Metadata-Flavor: Google";
    for headers in [
        &[][..],
        &["Metadata-Flavor: Amazon"],
        &[flavor, "X-Forwarded-For: 10.0.0.1"],
    ] {
        assert_eq!(ask(token, headers).status, 403, "{headers:?}");
    }
    let answer = ask(&format!("{token}?scopes={SCOPE}"), &[flavor]);
    assert_eq!(answer.header("metadata-flavor"), Some("Google"));
    assert!(opens(&standin, &answer));
    assert_eq!(ask("project/project-id", &[flavor]).body, b"stand-in");
    assert_eq!(ask("instance/id", &[flavor]).status, 404);
    standin.set(|config| config.revoked = true);
    assert_eq!(ask(token, &[flavor]).status, 404);
}
