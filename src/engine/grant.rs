//! How an access token is had: for a service account's signature, for a user's refresh token, of the metadata
//! server of a machine in Google Cloud, or from a file.

use std::time::Duration;

use serde::Deserialize;
use ureq::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, DATE};
use ureq::http::{HeaderName, HeaderValue, Method};
use zeroize::Zeroizing;

use super::account::{Account, Kind};
use super::assertion;
use super::endpoint::BaseUrl;
use super::failure::{BreakAt, Failure, NoToken};
use super::form::form;
use super::http::{Client, Connection, ConnectionFault};
use super::secret::{Secret, scrub};
use super::token_file::{self, TokenFault};
use crate::gemini::error::one_line;

/// A token, and how long it is good.
type Granted = (Secret, Option<Duration>);

const SCHEME: &str = "Bearer ";

/// Where an answer does not say how long its token is good.
const USUAL_LIFE: u64 = 3600;

/// Seconds by which clocks may differ.
const SAME_TIME: u64 = 60;

/// A token endpoint answers at once.
const TIMEOUT: Duration = Duration::from_secs(30);

const METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
const METADATA_FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");

#[derive(Deserialize)]
struct TokenAnswer<'a> {
    access_token: &'a str,
    expires_in: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error: String,
    error_description: String,
}

/// `ahead`: how many seconds the endpoint's clock is ahead, as far as is known.
pub fn to_account(
    account: &Account,
    connection: &Connection,
    ahead: &mut i64,
) -> Result<Granted, NoToken> {
    let url = &account.token_uri;
    let endpoint = Endpoint::new(url, connection.clone())?;
    let service = match &account.kind {
        Kind::Service(service) => service,
        Kind::User(user) => {
            let fields = [
                ("grant_type", "refresh_token"),
                ("client_id", &user.client_id[..]),
                ("client_secret", &user.client_secret[..]),
                ("refresh_token", &user.refresh_token[..]),
            ];
            let secrets = [&user.client_secret[..], &user.refresh_token];
            return endpoint.post(&fields, &secrets).0;
        }
    };
    let prove = |ahead: i64| -> Result<_, NoToken> {
        let now = assertion::now() + ahead;
        let assertion = assertion::signed(service, now).ok_or(NoToken::PrivateKey)?;
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion[..]),
        ];
        Ok(endpoint.post(&fields, &[&assertion]))
    };
    match prove(*ahead)? {
        // A clock that is wrong is no reason to stop: theirs is what counts.
        (Err(NoToken::Refused { .. }), Some(now))
            if (now - assertion::now()).abs_diff(*ahead) > SAME_TIME =>
        {
            *ahead = now - assertion::now();
            prove(*ahead)?.0
        }
        (told, _) => told,
    }
}

pub fn to_machine(url: &BaseUrl, connection: &Connection) -> Result<Granted, NoToken> {
    let connection = Connection {
        // It is on this machine or next to it.
        proxy: None,
        ..connection.clone()
    };
    let headers = vec![(METADATA_FLAVOR, HeaderValue::from_static("Google"))];
    let endpoint = Endpoint::new(url, connection)?;
    match endpoint
        .exchange(Method::GET, METADATA_PATH, headers, &[], &[])
        .0
    {
        Err(NoToken::Failed(failure)) if failure.is_unknown_host() => Err(NoToken::NotInTheCloud {
            host: url.host().to_owned(),
        }),
        told => told,
    }
}

pub fn in_file(path: &str) -> Result<Granted, NoToken> {
    let no_token = |fault: TokenFault| NoToken::File(fault.of("access token"));
    let token = token_file::read(path).map_err(no_token)?;
    match bearer(&token) {
        Some(secret) => Ok((secret, None)),
        None => Err(no_token(TokenFault::NotAToken { path: path.into() })),
    }
}

/// A token for a request's header; none where it is none.
pub fn bearer(token: &[u8]) -> Option<Secret> {
    (!token.is_empty()).then(|| Secret::new(SCHEME, token))?
}

struct Endpoint {
    client: Client,
}

impl Endpoint {
    fn new(url: &BaseUrl, connection: Connection) -> Result<Endpoint, NoToken> {
        let connection = Connection {
            base_url: url.clone(),
            timeout: connection.timeout.min(TIMEOUT),
            keep_alive: 0,
            ..connection
        };
        match Client::new(connection) {
            Ok(client) => Ok(Endpoint { client }),
            Err(fault) => Err(NoToken::Failed(Box::new(unusable(url, fault)))),
        }
    }

    /// Besides, what time it is there.
    fn post(
        &self,
        fields: &[(&str, &str)],
        secrets: &[&str],
    ) -> (Result<Granted, NoToken>, Option<i64>) {
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = vec![(CONTENT_TYPE, form_type)];
        self.exchange(Method::POST, "", headers, form(fields).as_bytes(), secrets)
    }

    fn exchange(
        &self,
        method: Method,
        path: &str,
        mut headers: Vec<(HeaderName, HeaderValue)>,
        body: &[u8],
        secrets: &[&str],
    ) -> (Result<Granted, NoToken>, Option<i64>) {
        // What is packed would leave its traces in an unpacker's memory.
        headers.push((ACCEPT_ENCODING, HeaderValue::from_static("identity")));
        let mut memory = Zeroizing::new(Vec::new());
        match self.client.told(method, path, &headers, body, &mut memory) {
            Ok((head, body)) => {
                let date = head.headers.get(DATE).and_then(|date| date.to_str().ok());
                let now = date.and_then(assertion::seconds_of);
                (self.read(head.status.as_u16(), body, secrets), now)
            }
            Err(failure) => (Err(NoToken::Failed(Box::new(failure))), None),
        }
    }

    fn read(&self, http_status: u16, body: &[u8], secrets: &[&str]) -> Result<Granted, NoToken> {
        if http_status == 200 {
            // serde's own words could be a part of the token.
            return granted(body).ok_or_else(|| {
                NoToken::Failed(Box::new(Failure::Malformed {
                    reason: format!("{} sent no access token", self.host()),
                }))
            });
        }
        let clean = |words: &str| {
            let mut words = words.to_owned();
            for secret in secrets {
                words = scrub(&words, secret);
            }
            one_line(&words)
        };
        Err(NoToken::Refused {
            host: self.host().to_owned(),
            http_status,
            words: match serde_json::from_slice::<Refusal>(body) {
                Ok(Refusal {
                    error,
                    error_description: more,
                }) if !error.is_empty() => match more.as_str() {
                    "" => clean(&error),
                    more => clean(&format!("{error}: {more}")),
                },
                _ => clean(&String::from_utf8_lossy(body)),
            },
        })
    }

    fn host(&self) -> &str {
        self.client.connection().base_url.host()
    }
}

/// A connection that can't be made as it is set.
fn unusable(url: &BaseUrl, fault: ConnectionFault) -> Failure {
    let (ConnectionFault::CaFile { reason, .. } | ConnectionFault::Proxy { reason }) = fault;
    Failure::Transport {
        host: url.host().to_owned(),
        reason,
        break_at: BreakAt::Trust,
    }
}

fn granted(body: &[u8]) -> Option<Granted> {
    let answer: TokenAnswer = serde_json::from_slice(body).ok()?;
    let life = Duration::from_secs(answer.expires_in.unwrap_or(USUAL_LIFE).min(7 * 24 * 3600));
    Some((bearer(answer.access_token.as_bytes())?, Some(life)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_token_or_nothing() {
        let body =
            br#"{"access_token":"ya29.x","expires_in":3599,"scope":"s","token_type":"Bearer"}"#;
        let (token, life) = granted(body).unwrap();
        assert_eq!(token.header(), "Bearer ya29.x");
        assert_eq!(life, Some(Duration::from_secs(3599)));
        for body in [
            "",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":"a b"}"#,
        ] {
            assert!(granted(body.as_bytes()).is_none(), "{body}");
        }
    }
}
