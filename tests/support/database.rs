//! A database and a stand-in for Google's API of one's own for each test, wired together as README says: the key in a file,
//! both named by `ALTER DATABASE`. Dropping it removes the database.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use google_standin::{Config, Standin};

use crate::{
    cluster::Cluster,
    install::{Install, give_to_server},
    psql::{Psql, Said},
    session::Session,
    wait::wait_until,
};

pub struct Db<'c> {
    pub api: Standin,
    pub name: String,
    key: String,
    cluster: &'c Cluster,
}

impl Db<'static> {
    /// On the shared server, with a stand-in that does what Google does.
    pub fn fresh() -> Db<'static> {
        Db::with(Config::default())
    }

    /// On the shared server, with a stand-in that behaves as told.
    pub fn with(config: Config) -> Db<'static> {
        Db::on(Cluster::shared(), config)
    }
}

impl<'c> Db<'c> {
    /// With the extension, its settings and a key file.
    pub fn on(cluster: &'c Cluster, config: Config) -> Db<'c> {
        let db = Db::bare(cluster, config);
        db.session()
            .run("CREATE EXTENSION embedding_backfill CASCADE");
        db
    }

    /// With the settings and a key file, and the extension left to the story.
    pub fn bare(cluster: &'c Cluster, mut config: Config) -> Db<'c> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("story_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        // As long as a real one.
        let key = format!("AQ.key-of-{name}-0123456789-abcdefghijklmnopqrstuvwxyz-0123456789");
        config.key = key.clone();
        config.record = true;
        let db = Db {
            api: Standin::start(config),
            name,
            key: key.clone(),
            cluster,
        };
        Session::connect(cluster.config("postgres", "postgres"))
            .run(&format!("CREATE DATABASE {}", db.name));
        db.set("base_url", &db.api.base_url());
        db.set(
            "api_key_file",
            db.file("key", &key, 0o600)
                .to_str()
                .expect("paths are UTF-8"),
        );
        db
    }

    /// The key that the stand-in was started with.
    pub fn key(&self) -> String {
        self.key.clone()
    }

    /// Sets a setting of the extension for all coming sessions of this database.
    pub fn set(&self, setting: &str, value: &str) {
        let database = &self.name;
        self.session().run(&format!(
            "ALTER DATABASE {database} SET embedding_backfill.{setting} = '{value}'"
        ));
    }

    /// Takes a setting of the extension back.
    pub fn reset(&self, setting: &str) {
        let database = &self.name;
        self.session().run(&format!(
            "ALTER DATABASE {database} RESET embedding_backfill.{setting}"
        ));
    }

    /// A file that belongs to the server's account.
    pub fn file(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("the private directory is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the file is ours");
        give_to_server(&path);
        path
    }

    /// Gives a file to the server's account.
    pub fn give(&self, path: &Path) {
        give_to_server(path);
    }

    /// Where such a file would be.
    pub fn path(&self, name: &str) -> PathBuf {
        self.cluster.host().join(format!("{}.{name}", self.name))
    }

    /// A session as superuser.
    pub fn session(&self) -> Session {
        self.session_as("postgres")
    }

    pub fn session_as(&self, user: &str) -> Session {
        Session::connect(self.cluster.config(&self.name, user))
    }

    /// A session that brings settings along, as PGOPTIONS of its client says.
    pub fn session_with_options(&self, user: &str, options: &str) -> Session {
        let mut config = self.cluster.config(&self.name, user);
        Session::connect(config.options(options).clone())
    }

    /// A session as superuser, where the server takes connections.
    pub fn try_session(&self) -> Option<Session> {
        Session::try_connect(self.cluster.config(&self.name, "postgres")).ok()
    }

    /// A session as superuser, once the server takes connections again.
    pub fn revived(&self) -> Session {
        let mut session = None;
        wait_until("the server takes connections", || {
            session = self.try_session();
            session.is_some()
        });
        session.expect("it has been waited for")
    }

    /// A session as superuser in another database of the server.
    pub fn session_in(&self, database: &str) -> Session {
        Session::connect(self.cluster.config(database, "postgres"))
    }

    /// A new role that can log in and has no rights; roles are the whole server's, so its name holds the database's.
    pub fn role(&self, name: &str) -> String {
        let role = format!("{}_{name}", self.name);
        self.session().run(&format!("CREATE ROLE {role} LOGIN"));
        role
    }

    /// Starts psql as superuser without the user's own psqlrc.
    pub fn start_psql(&self, arguments: &[&str]) -> Psql {
        let mut command = Install::get().client("psql");
        command
            .arg("--no-psqlrc")
            .arg("--host")
            .arg(self.host())
            .args(["--username", "postgres", "--dbname", &self.name]);
        command.args(arguments);
        Psql::start(command)
    }

    /// Runs psql to its end.
    pub fn psql(&self, arguments: &[&str]) -> Said {
        self.start_psql(arguments).wait()
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        self.cluster.log()
    }

    /// Why the server has ended this backend, as it told its client, which may not have listened, and the log.
    #[track_caller]
    pub fn last_words(&self, backend: i64) -> String {
        let begin = format!("[{backend}] FATAL:  ");
        let log = self.log();
        let line = log.lines().rev().find_map(|line| line.split_once(&begin));
        let (_, words) = line.expect("it was ended with a reason");
        // In the midst of an inner statement the log says where.
        let words = words.split(" at character ").next();
        words.unwrap_or_default().to_owned()
    }

    fn host(&self) -> &Path {
        self.cluster.host()
    }
}

impl Drop for Db<'_> {
    fn drop(&mut self) {
        if let Ok(mut client) = self
            .cluster
            .config("postgres", "postgres")
            .connect(postgres::NoTls)
        {
            let _ = client.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}
