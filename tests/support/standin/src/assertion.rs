//! The signed claims for which a service account gets an access token: a JSON Web Token, read and judged as Google does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::accounts::{Accounts, TOKEN_ENDPOINT};

/// The longest time for which an assertion may be good.
const HOUR: f64 = 3600.0;

/// How far a client's clock may be from Google's, whose own measure is not published.
const TOLERANCE: f64 = 300.0;

/// Those for which a token opens Vertex AI.
const SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/aiplatform",
];

/// Why there is no token; the names are those of the files in `bodies/`.
pub type Refusal = &'static str;

pub fn check(
    assertion: &str,
    accounts: &Accounts,
    project: &str,
    now: SystemTime,
) -> Result<(), Refusal> {
    let malformed = "400_oauth_malformed_jwt";
    let (message, signature) = assertion.rsplit_once('.').ok_or(malformed)?;
    let (header, claims) = message.split_once('.').ok_or(malformed)?;
    let header = part(header).ok_or(malformed)?;
    let claims = part(claims).ok_or(malformed)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if text(&claims["iss"]) != accounts.email(project) {
        return Err("400_oauth_account_not_found");
    }
    // Whoever names no key leaves it to Google to find it.
    let key = accounts.key();
    let named = header["kid"].as_str().is_none_or(|kid| kid == key.id());
    if header["alg"] != "RS256" || !named || !key.has_signed(message, signature) {
        return Err("400_oauth_signature");
    }
    if claims["aud"] != TOKEN_ENDPOINT {
        return Err("400_oauth_audience");
    }
    let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let now = now.as_secs_f64();
    let time = |name: &str| claims[name].as_f64().ok_or("400_oauth_timeframe");
    let (from, to) = (time("iat")?, time("exp")?);
    if (from - now).abs() > TOLERANCE || to <= now || to <= from || to - from > HOUR {
        return Err("400_oauth_timeframe");
    }
    let scopes = text(&claims["scope"]);
    let mut scopes = scopes.split_ascii_whitespace().peekable();
    if scopes.peek().is_none() || !scopes.all(|scope| SCOPES.contains(&scope)) {
        return Err("400_oauth_scope");
    }
    Ok(())
}

fn part(encoded: &str) -> Option<Value> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?;
    let value: Value = serde_json::from_slice(&json).ok()?;
    value.is_object().then_some(value)
}
