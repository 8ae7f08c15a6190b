//! Where requests for vectors go, and by what they are allowed: both follow from the model's provider and the
//! superuser's settings. Access tokens outlive a call, as long as the settings stay the same.

use std::cell::RefCell;
use std::sync::Arc;

use super::{Text, pool, superuser, text};
use crate::engine::access::{Access, Cache};
use crate::engine::credentials::{self, Credentials, Found};
use crate::engine::endpoint::BaseUrl;
use crate::engine::http::{Client, Connection};
use crate::engine::key::ApiKey;
use crate::gemini::model::Model;
use crate::gemini::provider::{Provider, publisher};
use crate::pg::error::Error;

/// As Google's own libraries look it up.
const PROJECT: &str = "GOOGLE_CLOUD_PROJECT";

static API_KEY_FILE: Text = Text::new(None);
static CREDENTIALS_FILE: Text = Text::new(None);
static ACCESS_TOKEN_FILE: Text = Text::new(None);
static VERTEX_PROJECT: Text = Text::new(None);
static VERTEX_LOCATION: Text = Text::new(None);
static BASE_URL: Text = Text::new(None);

thread_local! {
    /// The token of the last credentials.
    static TOKEN: RefCell<Option<(Vec<u8>, Arc<Cache>)>> = const { RefCell::new(None) };
}

pub(super) fn define() {
    superuser(
        c"embedding_backfill.api_key_file",
        c"File with the Gemini API key.",
        c"A regular file of at most 4 KiB, readable by the server's user and not by others; read again for each run. Unset: GEMINI_API_KEY, then GOOGLE_API_KEY of the server's environment.",
        &API_KEY_FILE,
    );
    superuser(
        c"embedding_backfill.credentials_file",
        c"File with the Google Cloud account for Vertex AI, as JSON.",
        c"A service account or an authorized user; as careful as with the key's file. Unset: access_token_file, then GOOGLE_APPLICATION_CREDENTIALS of the server's environment, then the machine's metadata server.",
        &CREDENTIALS_FILE,
    );
    superuser(
        c"embedding_backfill.access_token_file",
        c"File with an access token for Vertex AI that somebody keeps up to date.",
        c"Read again for each run, and when its token is refused.",
        &ACCESS_TOKEN_FILE,
    );
    superuser(
        c"embedding_backfill.vertex_project",
        c"Google Cloud project whose Vertex AI is used.",
        c"Unset: that of the account, then GOOGLE_CLOUD_PROJECT of the server's environment.",
        &VERTEX_PROJECT,
    );
    superuser(
        c"embedding_backfill.vertex_location",
        c"Where Vertex AI works on the texts, such as europe-west4.",
        c"Unset: global where the model is served there, else us-central1.",
        &VERTEX_LOCATION,
    );
    superuser(
        c"embedding_backfill.base_url",
        c"Base URL of the embedding API, with its version.",
        c"https, or http to a loopback address. Unset: Google's for the provider and the location.",
        &BASE_URL,
    );
}

pub(super) fn destination(model: &Model) -> Result<(Client, Credentials), Error> {
    match model.provider {
        Provider::Gemini => {
            let client = pool::google(base_url(model.provider, "")?)?;
            let key = ApiKey::load(text(&API_KEY_FILE).as_deref());
            Ok((client, Credentials::Key(key.map_err(Error::Key)?)))
        }
        Provider::Vertex => {
            let found = credentials::find(
                text(&CREDENTIALS_FILE).as_deref(),
                text(&ACCESS_TOKEN_FILE).as_deref(),
            )
            .map_err(Error::Credentials)?;
            let project = text(&VERTEX_PROJECT)
                .or_else(|| found.project.clone())
                .or_else(|| credentials::environment(PROJECT))
                .ok_or(Error::NoProject)?;
            let location = text(&VERTEX_LOCATION);
            let location = location.as_deref().unwrap_or(model.location);
            let place = publisher(&project, location).map_err(Error::Place)?;
            let client = pool::google(base_url(model.provider, location)?.below(&place))?;
            let connection = client.connection().clone();
            Ok((client, token(found, connection)))
        }
    }
}

fn base_url(provider: Provider, location: &str) -> Result<BaseUrl, Error> {
    // An empty one is a mistake, which must not send anything to Google.
    let url = match BASE_URL.get() {
        Some(url) => url.to_string_lossy().into_owned(),
        None => provider.base_url(location),
    };
    BaseUrl::parse(&url).map_err(|fault| Error::BaseUrl { url, fault })
}

fn token(found: Found, connection: Connection) -> Credentials {
    let cache = TOKEN.with_borrow_mut(|token| match token {
        // Who asks at this moment is of a call that was cancelled, and what becomes of it is nothing to this one.
        Some((fingerprint, cache)) if *fingerprint == found.fingerprint && !cache.is_asking() => {
            Arc::clone(cache)
        }
        _ => {
            let cache = Arc::default();
            *token = Some((found.fingerprint, Arc::clone(&cache)));
            cache
        }
    });
    Credentials::Token {
        access: Arc::new(Access::new(found.source, connection, cache)),
        quota_project: found.quota_project,
    }
}
