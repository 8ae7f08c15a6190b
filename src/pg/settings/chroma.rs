//! The settings of the mirror. They say where the rows of tables are sent to, so all are the superuser's.

use super::{Text, max_attempts, none_refused, pool, superuser, text};
use crate::engine::endpoint::BaseUrl;
use crate::engine::http::Client;
use crate::engine::mirror::Token;
use crate::pg::error::Error;
use crate::pg::error::MirrorError;

static URL: Text = Text::new(None);
static TOKEN_FILE: Text = Text::new(None);
static TENANT: Text = Text::new(Some(c"default_tenant"));
static DATABASE: Text = Text::new(Some(c"default_database"));

/// What the workers of a mirror are told of the server.
pub struct Chroma {
    pub client: Client,
    pub token: Option<Token>,
    pub tenant: String,
    pub database: String,
    pub max_attempts: u32,
}

pub(super) fn define() {
    superuser(
        c"embedding_backfill.chroma_url",
        c"URL of the ChromaDB server that rows are mirrored to.",
        c"https, or http to a loopback address, such as http://127.0.0.1:8000. Not reached through embedding_backfill.proxy.",
        &URL,
    );
    superuser(
        c"embedding_backfill.chroma_token_file",
        c"File with the token for the ChromaDB server.",
        c"A regular file of at most 16 KiB, readable by the server's user and not by others; read again for each run. Unset: no token is sent.",
        &TOKEN_FILE,
    );
    superuser(
        c"embedding_backfill.chroma_tenant",
        c"Tenant of the ChromaDB server that has the collections.",
        c"",
        &TENANT,
    );
    superuser(
        c"embedding_backfill.chroma_database",
        c"Database of the tenant that has the collections.",
        c"",
        &DATABASE,
    );
}

pub fn chroma() -> Result<Chroma, Error> {
    none_refused()?;
    let url = text(&URL).ok_or(MirrorError::UrlNotSet)?;
    // As people copy it from a browser.
    let base = url.trim().trim_end_matches('/').trim_end_matches("/api/v2");
    let base_url = BaseUrl::parse(base).map_err(|fault| MirrorError::Url { url, fault })?;
    let token = text(&TOKEN_FILE).map(|path| Token::from_file(&path));
    Ok(Chroma {
        client: pool::chroma(base_url)?,
        token: token.transpose().map_err(MirrorError::Token)?,
        tenant: text(&TENANT).unwrap_or_else(|| "default_tenant".into()),
        database: text(&DATABASE).unwrap_or_else(|| "default_database".into()),
        max_attempts: max_attempts(),
    })
}
