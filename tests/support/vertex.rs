//! A database whose provider is Vertex AI, wired together as README says: the key file of a service account, and a token endpoint
//! that is a stand-in of its own, as it is a host of its own at Google.

use std::ops::Deref;

use google_standin::{Config, Standin};

use crate::{cluster::Cluster, database::Db};

pub struct Vertex<'c> {
    db: Db<'c>,
    /// Where access tokens come from; they are good at `api`.
    pub accounts: Standin,
}

/// What the stand-in calls its project.
pub const PROJECT: &str = "stand-in";

impl Vertex<'static> {
    /// On the shared server, with stand-ins that do what Google does.
    pub fn fresh() -> Vertex<'static> {
        Vertex::with(Config::default())
    }

    /// On the shared server, with models that are served as told.
    pub fn with(config: Config) -> Vertex<'static> {
        Vertex::on(Cluster::shared(), config)
    }
}

impl<'c> Vertex<'c> {
    pub fn on(cluster: &'c Cluster, config: Config) -> Vertex<'c> {
        let accounts = Standin::start(Config {
            accounts: config.accounts.clone(),
            record: true,
            ..Config::default()
        });
        let vertex = Vertex {
            db: Db::on(cluster, config),
            accounts,
        };
        // A key would be of no use here, and must not be looked for.
        vertex.reset("api_key_file");
        vertex.set("provider", "vertex");
        vertex.set("base_url", &vertex.api.vertex_url());
        vertex.credentials("credentials_file", &vertex.accounts.service_account());
        vertex
    }

    /// Puts a secret into a file of its own and names that in the setting.
    pub fn credentials(&self, setting: &str, secret: &str) {
        let file = self.file(setting, secret, 0o600);
        self.set(setting, file.to_str().expect("paths are UTF-8"));
    }
}

impl<'c> Deref for Vertex<'c> {
    type Target = Db<'c>;

    fn deref(&self) -> &Db<'c> {
        &self.db
    }
}
