//! Google's token endpoint: an access token for a signed assertion or a refresh token. Its errors have a form of their own.

use serde_json::{Value, json};

use crate::assertion::{self, Refusal};
use crate::config::Config;
use crate::reply::Reply;
use crate::request::Request;
use crate::shared::Shared;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const FORM: &str = "application/x-www-form-urlencoded";

macro_rules! refusals {
    ($($name:literal)*) => {
        fn body(name: Refusal) -> &'static str {
            match name {
                $($name => include_str!(concat!("../bodies/", $name, ".json")),)*
                _ => panic!("no refusal is named {name}"),
            }
        }

        #[cfg(test)]
        const NAMES: &[Refusal] = &[$($name),*];
    };
}

refusals! {
    "400_oauth_account_not_found"
    "400_oauth_audience"
    "400_oauth_grant_type"
    "400_oauth_malformed_jwt"
    "400_oauth_request"
    "400_oauth_revoked"
    "400_oauth_scope"
    "400_oauth_signature"
    "400_oauth_timeframe"
    "401_oauth_client"
}

/// `None` where it is not the endpoint that is asked.
pub fn reply(shared: &Shared, config: &Config, request: &Request) -> Option<Reply> {
    if request.path != "/token" || request.method != "POST" {
        return None;
    }
    let granted = grant(config, request).map(|extra| {
        shared.note(|stats| stats.grants += 1);
        let mut answer = json!({
            "access_token": config.accounts.issue(config.token_lifetime),
            "expires_in": config.token_lifetime.as_secs(),
            "token_type": "Bearer",
        });
        if let Some(scope) = extra {
            answer["scope"] = scope.into();
        }
        Reply::json(200, format!("{answer:#}\n"))
    });
    Some(granted.unwrap_or_else(refusal))
}

/// The answer of the file of this name in `bodies/`.
fn refusal(name: Refusal) -> Reply {
    let file: Value = serde_json::from_str(body(name)).expect("a body file is JSON");
    let status = file["response"]["status"]
        .as_u64()
        .expect("each has a status");
    Reply::json(status as u16, format!("{:#}\n", file["response"]["body"]))
}

/// Checks what is asked for; gives the scope where the answer names it.
fn grant(config: &Config, request: &Request) -> Result<Option<&'static str>, Refusal> {
    let form = form(request).ok_or("400_oauth_request")?;
    let field = |name: &str| {
        let mut fields = form.iter().filter(|(field, _)| field == name);
        fields.next().map_or("", |(_, value)| value.as_str())
    };
    let accounts = &config.accounts;
    match field("grant_type") {
        JWT_BEARER => {
            let now = config.now();
            assertion::check(field("assertion"), accounts, &config.project, now)?;
            match config.revoked {
                true => Err("400_oauth_account_not_found"),
                false => Ok(None),
            }
        }
        "refresh_token" => {
            let client = [field("client_id"), field("client_secret")];
            if client != [accounts.client_id(), accounts.client_secret()] {
                return Err("401_oauth_client");
            }
            if config.revoked || field("refresh_token") != accounts.refresh_token() {
                return Err("400_oauth_revoked");
            }
            Ok(Some("https://www.googleapis.com/auth/cloud-platform"))
        }
        _ => Err("400_oauth_grant_type"),
    }
}

/// The pairs of a form.
fn form(request: &Request) -> Option<Vec<(String, String)>> {
    if !request.header_has("content-type", FORM) {
        return None;
    }
    let body = std::str::from_utf8(&request.body).ok()?;
    body.split('&')
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_body_in_the_form_of_the_endpoint() {
        for name in NAMES {
            let Reply::Answer { status, body, .. } = refusal(name) else {
                panic!("{name}");
            };
            assert!(name.starts_with(&status.to_string()), "{name}");
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert!(body["error"].is_string() && body["error_description"].is_string());
        }
    }

    #[test]
    fn a_form_is_decoded() {
        assert_eq!(decoded("a+b%2Fc%3D%C3%A9").unwrap(), "a b/c=é");
        assert_eq!(decoded("%2"), None);
        assert_eq!(decoded("%zz"), None);
    }
}
