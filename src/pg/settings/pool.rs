//! The backend's connections. They stay open from one call to the next, as long as the settings stay the same.

use std::cell::RefCell;
use std::thread::LocalKey;

use once_cell::unsync::OnceCell;

use super::{CA_FILE, PROXY, concurrency, text, timeout};
use crate::engine::endpoint::BaseUrl;
use crate::engine::http::{Client, Connection};
use crate::pg::error::Error;

type Pool = RefCell<OnceCell<Client>>;

thread_local! {
    static GOOGLE: Pool = const { RefCell::new(OnceCell::new()) };
    static CHROMA: Pool = const { RefCell::new(OnceCell::new()) };
}

/// To the embedding API.
pub(super) fn google(base_url: BaseUrl) -> Result<Client, Error> {
    client(&GOOGLE, base_url, text(&PROXY))
}

/// To the server of the mirror, which is near enough to need no proxy.
pub(super) fn chroma(base_url: BaseUrl) -> Result<Client, Error> {
    client(&CHROMA, base_url, None)
}

fn client(
    pool: &'static LocalKey<Pool>,
    base_url: BaseUrl,
    proxy: Option<String>,
) -> Result<Client, Error> {
    let connection = Connection {
        base_url,
        ca_file: text(&CA_FILE),
        proxy,
        timeout: timeout(),
        keep_alive: concurrency(),
    };
    pool.with_borrow_mut(|pool| {
        if pool
            .get()
            .is_some_and(|client| *client.connection() != connection)
        {
            pool.take();
        }
        pool.get_or_try_init(|| Client::new(connection))
            .cloned()
            .map_err(Error::Connection)
    })
}
