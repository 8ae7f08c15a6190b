//! An account of Google Cloud as a credentials file has it: a service account with its private key, or a
//! user's with a refresh token.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::endpoint::{BaseUrl, UrlFault};

/// Where a file does not say it.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

pub struct Account {
    pub kind: Kind,
    /// Where access tokens are asked for.
    pub token_uri: BaseUrl,
    /// The project that it belongs to.
    pub project: Option<String>,
    /// The project whose quota a user's requests count for.
    pub quota_project: Option<String>,
}

pub enum Kind {
    Service(ServiceAccount),
    User(User),
}

pub struct ServiceAccount {
    pub email: String,
    pub key_id: Option<String>,
    /// PKCS #8, DER.
    pub private_key: Zeroizing<Vec<u8>>,
}

pub struct User {
    pub client_id: String,
    pub client_secret: Zeroizing<String>,
    pub refresh_token: Zeroizing<String>,
}

/// Why a file is no account; never in its own words, which may be secret.
#[derive(Debug, PartialEq)]
pub enum AccountFault {
    NotJson {
        line: usize,
        column: usize,
    },
    /// One of Google's other kinds, or none.
    Kind {
        found: Option<String>,
    },
    Missing {
        field: &'static str,
    },
    PrivateKey,
    TokenUri(UrlFault),
}

/// What is secret stays as it is in the file, so that no copy of it is made on the way.
#[derive(Deserialize)]
struct File<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    client_email: Option<String>,
    private_key_id: Option<String>,
    #[serde(borrow)]
    private_key: Option<&'a RawValue>,
    client_id: Option<String>,
    #[serde(borrow)]
    client_secret: Option<&'a RawValue>,
    #[serde(borrow)]
    refresh_token: Option<&'a RawValue>,
    token_uri: Option<String>,
    project_id: Option<String>,
    quota_project_id: Option<String>,
}

impl Account {
    pub fn parse(json: &[u8]) -> Result<Account, AccountFault> {
        let file: File = serde_json::from_slice(json).map_err(|error| AccountFault::NotJson {
            line: error.line(),
            column: error.column(),
        })?;
        let kind = match file.kind.as_deref() {
            Some("service_account") => Kind::Service(ServiceAccount {
                email: there("client_email", file.client_email)?,
                key_id: file.private_key_id,
                private_key: pkcs8(&text("private_key", file.private_key)?)?,
            }),
            Some("authorized_user") => Kind::User(User {
                client_id: there("client_id", file.client_id)?,
                client_secret: text("client_secret", file.client_secret)?,
                refresh_token: text("refresh_token", file.refresh_token)?,
            }),
            other => {
                // Anything may be in a wrong file.
                let plain = |kind: &&str| {
                    kind.len() < 40 && kind.chars().all(|c| c.is_ascii_lowercase() || c == '_')
                };
                return Err(AccountFault::Kind {
                    found: other.filter(plain).map(str::to_owned),
                });
            }
        };
        let token_uri = file.token_uri.as_deref().unwrap_or(TOKEN_URI);
        Ok(Account {
            kind,
            token_uri: BaseUrl::parse(token_uri).map_err(AccountFault::TokenUri)?,
            project: file.project_id,
            quota_project: file.quota_project_id,
        })
    }
}

fn there<T>(field: &'static str, value: Option<T>) -> Result<T, AccountFault> {
    value.ok_or(AccountFault::Missing { field })
}

fn text(field: &'static str, raw: Option<&RawValue>) -> Result<Zeroizing<String>, AccountFault> {
    let raw = there(field, raw)?.get();
    unescaped(raw)
        .filter(|text| !text.is_empty())
        .ok_or(AccountFault::Missing { field })
}

/// A JSON string's text, in one place that is wiped.
fn unescaped(raw: &str) -> Option<Zeroizing<String>> {
    let raw = raw.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = Zeroizing::new(String::with_capacity(raw.len()));
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        text.push(match c {
            '\\' => match rest.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                // An equals sign is often spelled so.
                'u' => {
                    let code = rest.as_str().get(..4)?;
                    rest = rest.as_str()[4..].chars();
                    char::from_u32(u32::from_str_radix(code, 16).ok()?)?
                }
                mark @ ('"' | '\\' | '/') => mark,
                _ => return None,
            },
            c => c,
        });
    }
    Some(text)
}

fn pkcs8(pem: &str) -> Result<Zeroizing<Vec<u8>>, AccountFault> {
    let body = pem
        .trim()
        .strip_prefix("-----BEGIN PRIVATE KEY-----")
        .and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"))
        .ok_or(AccountFault::PrivateKey)?;
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    base64.extend(body.chars().filter(|c| !c.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; base64.len()]);
    let length = STANDARD
        .decode_slice(base64.as_bytes(), &mut der)
        .map_err(|_| AccountFault::PrivateKey)?;
    der.truncate(length);
    Ok(der)
}

impl fmt::Display for AccountFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson { line, column } => {
                write!(
                    f,
                    "it is not the JSON of an account: line {line}, column {column}"
                )
            }
            Self::Kind { found: Some(found) } => {
                write!(
                    f,
                    "it is of type \"{found}\", not service_account or authorized_user"
                )
            }
            Self::Kind { found: None } => write!(f, "it has no \"type\" of an account"),
            Self::Missing { field } => write!(f, "it has no \"{field}\""),
            Self::PrivateKey => write!(f, "its \"private_key\" is not a PEM private key"),
            Self::TokenUri(UrlFault::Extras) => {
                write!(f, "its \"token_uri\" has a user, a query or a fragment")
            }
            Self::TokenUri(fault) => write!(f, "its \"token_uri\" can't be used: {fault}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = r#"{"type": "service_account", "project_id": "p", "private_key_id": "k",
        "private_key": "-----BEGIN PRIVATE KEY-----\nAQID\nBA\u003d\u003d\n-----END PRIVATE KEY-----\n",
        "client_email": "a@p.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token"}"#;

    fn fault(json: &str) -> AccountFault {
        Account::parse(json.as_bytes()).err().unwrap()
    }

    #[test]
    fn a_service_account_is_read() {
        let account = Account::parse(SERVICE.as_bytes()).unwrap();
        assert_eq!(account.project.as_deref(), Some("p"));
        assert_eq!(account.token_uri.host(), "oauth2.googleapis.com");
        let Kind::Service(service) = account.kind else {
            panic!()
        };
        assert_eq!(service.email, "a@p.iam.gserviceaccount.com");
        assert_eq!(service.private_key[..], [1, 2, 3, 4]);
    }

    #[test]
    fn a_users_account_is_read() {
        let json = r#"{"type": "authorized_user", "client_id": "c", "client_secret": "s/\"",
            "refresh_token": "1\/\/r", "quota_project_id": "q"}"#;
        let account = Account::parse(json.as_bytes()).unwrap();
        assert_eq!(account.quota_project.as_deref(), Some("q"));
        let Kind::User(user) = account.kind else {
            panic!()
        };
        assert_eq!(
            (&user.client_secret[..], &user.refresh_token[..]),
            ("s/\"", "1//r")
        );
    }

    #[test]
    fn a_fault_never_has_the_files_own_words() {
        for (json, expected) in [
            ("AQ.secret", "line 1, column 1"),
            (r#"{"type": "secret words"}"#, "no \"type\""),
            (r#"{"type": "external_account"}"#, "\"external_account\""),
            (r#"{"type": "service_account"}"#, "\"client_email\""),
            (&*SERVICE.replace("AQID", "!secret!"), "\"private_key\""),
            (
                &*SERVICE.replace("BEGIN PRIVATE", "BEGIN RSA PRIVATE"),
                "\"private_key\"",
            ),
            (&*SERVICE.replace("https:", "http:"), "clear text"),
            (&*SERVICE.replace("/token\"", "/token?secret\""), "a query"),
            (&*SERVICE.replace("\"p\"", "[\"secret\"]"), "line 1"),
        ] {
            let said = fault(json).to_string();
            assert!(
                said.contains(expected) && !said.contains("secret"),
                "{said}"
            );
        }
    }
}
