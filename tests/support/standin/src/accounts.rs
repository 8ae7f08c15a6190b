//! Who may use Vertex AI: a service account with a key of its own, a user with a refresh token, and the access tokens that
//! were given to them. Stand-ins that share it know each other's tokens.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};

use crate::errors::ApiError;
use crate::service_key::ServiceKey;

/// The one name under which Google's token endpoint is addressed in an assertion, wherever it is reached.
pub(crate) const TOKEN_ENDPOINT: &str = "https://oauth2.googleapis.com/token";

#[derive(Clone)]
pub struct Accounts(Arc<State>);

struct State {
    /// Of this state alone, and so of all secrets that it makes up.
    nonce: String,
    /// Made when somebody asks for it, since that takes a while.
    key: LazyLock<ServiceKey>,
    /// When each ends.
    tokens: Mutex<HashMap<String, Instant>>,
}

/// Why a token is not taken.
pub(crate) enum Unfit {
    Unknown,
    Expired,
}

impl Default for Accounts {
    fn default() -> Self {
        Accounts(Arc::new(State {
            nonce: random(9),
            key: LazyLock::new(ServiceKey::generate),
            tokens: Mutex::default(),
        }))
    }
}

impl Accounts {
    pub(crate) fn email(&self, project: &str) -> String {
        format!("stand-in@{project}.iam.gserviceaccount.com")
    }

    pub(crate) fn key(&self) -> &ServiceKey {
        &self.0.key
    }

    /// The file that Google gives out with a key of a service account.
    pub(crate) fn service_account(&self, project: &str, token_uri: &str) -> Value {
        let email = self.email(project);
        json!({
            "type": "service_account",
            "project_id": project,
            "private_key_id": self.key().id(),
            "private_key": self.key().pem(),
            "client_email": email,
            "client_id": "107310731073107310731",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": token_uri,
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_x509_cert_url": format!("https://www.googleapis.com/robot/v1/metadata/x509/{email}"),
            "universe_domain": "googleapis.com",
        })
    }

    /// The file that `gcloud auth application-default login` leaves, with the endpoint that others write into it.
    pub(crate) fn authorized_user(&self, project: &str, token_uri: &str) -> Value {
        json!({
            "account": "",
            "client_id": self.client_id(),
            "client_secret": self.client_secret(),
            "quota_project_id": project,
            "refresh_token": self.refresh_token(),
            "token_uri": token_uri,
            "type": "authorized_user",
            "universe_domain": "googleapis.com",
        })
    }

    pub(crate) fn client_id(&self) -> String {
        format!("1073-{}.apps.googleusercontent.com", self.0.nonce)
    }

    pub(crate) fn client_secret(&self) -> String {
        format!("GOCSPX-secret-of-{}", self.0.nonce)
    }

    pub(crate) fn refresh_token(&self) -> String {
        format!(
            "1//refresh-token-of-{}-0123456789-abcdefghijklmnopqrstuvwxyz",
            self.0.nonce
        )
    }

    /// An access token for this long.
    pub(crate) fn issue(&self, lifetime: Duration) -> String {
        // The middle is the same in all, so that one can look for any of them.
        let token = format!(
            "ya29.c.token-of-{}-0123456789-abcdefghijklmnopqrstuvwxyz-{}",
            self.0.nonce,
            random(24)
        );
        self.tokens()
            .insert(token.clone(), Instant::now() + lifetime);
        token
    }

    /// Ends all access tokens that were given so far, as if their time were over.
    pub fn expire(&self) {
        let now = Instant::now();
        self.tokens().values_mut().for_each(|end| *end = now);
    }

    pub(crate) fn check(&self, token: &str) -> Result<(), Unfit> {
        match self.tokens().get(token) {
            None => Err(Unfit::Unknown),
            Some(end) if *end <= Instant::now() => Err(Unfit::Expired),
            Some(_) => Ok(()),
        }
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0
            .tokens
            .lock()
            .expect("no thread panics while it holds the tokens")
    }
}

impl Unfit {
    pub(crate) fn error(self, method: &str) -> ApiError {
        match self {
            Unfit::Unknown => ApiError::token_refused(method, "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
            Unfit::Expired => ApiError::token_refused(method, "ACCESS_TOKEN_EXPIRED"),
        }
    }
}

/// So many random bytes, in letters.
fn random(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    SystemRandom::new()
        .fill(&mut buffer)
        .expect("the system has random numbers");
    BASE64_URL_SAFE_NO_PAD.encode(buffer)
}
