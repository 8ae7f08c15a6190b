//! Where requests go, and by what they are allowed: both follow from the model's provider and the settings.
//! Access tokens outlive a call, as long as the settings stay the same.

use std::cell::RefCell;
use std::sync::Arc;

use super::error::Error;
use super::settings::{self, pool, text};
use crate::engine::access::{Access, Cache};
use crate::engine::credentials::{self, Credentials, Found};
use crate::engine::endpoint::BaseUrl;
use crate::engine::http::{Client, Connection};
use crate::engine::key::ApiKey;
use crate::gemini::model::Model;
use crate::gemini::provider::{Provider, publisher};

/// As Google's own libraries look it up.
const PROJECT: &str = "GOOGLE_CLOUD_PROJECT";

thread_local! {
    /// The token of the last credentials.
    static TOKEN: RefCell<Option<(Vec<u8>, Arc<Cache>)>> = const { RefCell::new(None) };
}

pub fn of(model: &Model) -> Result<(Client, Credentials), Error> {
    match model.provider {
        Provider::Gemini => {
            let client = pool::google(base_url(model.provider, "")?)?;
            let key = ApiKey::load(text(&settings::API_KEY_FILE).as_deref());
            Ok((client, Credentials::Key(key.map_err(Error::Key)?)))
        }
        Provider::Vertex => {
            let found = credentials::find(
                text(&settings::CREDENTIALS_FILE).as_deref(),
                text(&settings::ACCESS_TOKEN_FILE).as_deref(),
            )
            .map_err(Error::Credentials)?;
            let project = text(&settings::VERTEX_PROJECT)
                .or_else(|| found.project.clone())
                .or_else(|| credentials::environment(PROJECT))
                .ok_or(Error::NoProject)?;
            let location = text(&settings::VERTEX_LOCATION);
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
    let url = match settings::BASE_URL.get() {
        Some(url) => url.to_string_lossy().into_owned(),
        None => provider.base_url(location),
    };
    BaseUrl::parse(&url).map_err(|fault| Error::BaseUrl { url, fault })
}

fn token(found: Found, connection: Connection) -> Credentials {
    let cache = TOKEN.with_borrow_mut(|token| match token {
        Some((fingerprint, cache)) if *fingerprint == found.fingerprint => Arc::clone(cache),
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
