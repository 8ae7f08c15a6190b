//! By what a request is allowed: the Gemini API's key, or for Vertex AI an access token of an account.

use std::fmt;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use ureq::http::header::AUTHORIZATION;
use ureq::http::{HeaderName, HeaderValue};

use super::access::{Access, Source};
use super::account::{Account, AccountFault};
use super::endpoint::{BaseUrl, UrlFault};
use super::failure::Failure;
use super::key::ApiKey;
use super::secret::{self, FileFault, Secret};
use super::token_file::{self, TokenFault};

const MAX_FILE_BYTES: u64 = 16_384;

/// Google's own names.
const ENVIRONMENT: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const METADATA_HOST: &str = "GCE_METADATA_HOST";

const KEY_HEADER: HeaderName = HeaderName::from_static("x-goog-api-key");
const USER_PROJECT_HEADER: HeaderName = HeaderName::from_static("x-goog-user-project");

pub enum Credentials {
    Key(ApiKey),
    Token {
        access: Arc<Access>,
        /// Whose quota a user's requests count for.
        quota_project: Option<HeaderValue>,
    },
}

/// What was found, before anybody is asked for a token.
pub struct Found {
    pub source: Source,
    /// The same for the same credentials, so that their token can be used again.
    pub fingerprint: Vec<u8>,
    pub project: Option<String>,
    pub quota_project: Option<HeaderValue>,
}

#[derive(Debug)]
pub enum CredentialFault {
    File(FileFault),
    Account { path: String, fault: AccountFault },
    Token(TokenFault),
    MetadataHost(UrlFault),
}

impl Credentials {
    /// What goes with a request. May block; for the threads of a pipeline only.
    pub fn secret(&self) -> Result<Secret, Failure> {
        match self {
            Self::Key(key) => Ok(key.secret()),
            Self::Token { access, .. } => access.token(),
        }
    }

    /// Another one after a refusal, where there can be one.
    pub fn in_place_of(&self, refused: &Secret) -> Option<Result<Secret, Failure>> {
        let Self::Token { access, .. } = self else {
            return None;
        };
        let other = access.in_place_of(refused);
        (other.as_ref().ok() != Some(refused)).then_some(other)
    }

    pub fn headers(&self, secret: &Secret) -> Vec<(HeaderName, HeaderValue)> {
        match self {
            Self::Key(_) => vec![(KEY_HEADER, secret.header())],
            Self::Token { quota_project, .. } => {
                let project = quota_project.clone();
                let project = project.map(|project| (USER_PROJECT_HEADER, project));
                let token = (AUTHORIZATION, secret.header());
                [token].into_iter().chain(project).collect()
            }
        }
    }
}

/// What is set comes before the server's environment, and that before the machine.
pub fn find(
    credentials_file: Option<&str>,
    access_token_file: Option<&str>,
) -> Result<Found, CredentialFault> {
    if let Some(path) = credentials_file {
        return account(path);
    }
    if let Some(path) = access_token_file {
        let token = token_file::read(path).map_err(CredentialFault::Token)?;
        return Ok(Found {
            source: Source::File(path.to_owned()),
            fingerprint: digest(&SHA256, &token).as_ref().to_vec(),
            project: None,
            quota_project: None,
        });
    }
    if let Some(path) = environment(ENVIRONMENT) {
        return account(&path);
    }
    let host = environment(METADATA_HOST);
    let url = BaseUrl::metadata(host.as_deref()).map_err(CredentialFault::MetadataHost)?;
    Ok(Found {
        fingerprint: url.as_str().into(),
        source: Source::Metadata(url),
        project: None,
        quota_project: None,
    })
}

/// A variable of the server's environment; an empty one counts as unset.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn account(path: &str) -> Result<Found, CredentialFault> {
    let bytes = secret::read(path, MAX_FILE_BYTES).map_err(CredentialFault::File)?;
    let fault = |fault| CredentialFault::Account {
        path: path.to_owned(),
        fault,
    };
    let account = Account::parse(&bytes).map_err(fault)?;
    let quota_project = account.quota_project.as_deref();
    Ok(Found {
        fingerprint: digest(&SHA256, &bytes).as_ref().to_vec(),
        project: account
            .project
            .as_ref()
            .or(account.quota_project.as_ref())
            .cloned(),
        quota_project: quota_project.and_then(|project| HeaderValue::from_str(project).ok()),
        source: Source::Account(account),
    })
}

impl fmt::Display for CredentialFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(fault) => f.write_str(&fault.of("credentials file")),
            Self::Account { path, fault } => {
                write!(f, "credentials file \"{path}\" can't be used: {fault}")
            }
            Self::Token(fault) => f.write_str(&fault.of("access token")),
            Self::MetadataHost(_) => write!(
                f,
                "{METADATA_HOST} of the server's environment is not a host and a port"
            ),
        }
    }
}
