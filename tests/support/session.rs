//! A session on the server that keeps its notices, with the two calls that most stories make. Everything else goes through the
//! client it wraps.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex},
};

use postgres::{Client, Config, Error, NoTls};

pub struct Session {
    client: Client,
    notices: Arc<Mutex<Vec<String>>>,
}

/// The three results of `CALL embed_all_missing`.
#[derive(Debug, PartialEq)]
pub struct Finished {
    pub embedded: i64,
    pub remaining: i64,
    pub stopped_because: String,
}

impl Finished {
    pub fn done(embedded: i64, remaining: i64) -> Finished {
        Finished {
            embedded,
            remaining,
            stopped_because: "done".to_owned(),
        }
    }
}

impl Session {
    pub fn connect(config: Config) -> Session {
        Session::try_connect(config).expect("the server takes connections")
    }

    pub fn try_connect(mut config: Config) -> Result<Session, Error> {
        let notices = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&notices);
        config.notice_callback(move |notice| {
            kept.lock().expect("no test panics here").push(format!(
                "{}: {}",
                notice.severity(),
                notice.message()
            ));
        });
        Ok(Session {
            client: config.connect(NoTls)?,
            notices,
        })
    }

    /// `SELECT embed_missing(…)` with these arguments.
    pub fn embed(&mut self, arguments: &str) -> Result<i64, Error> {
        Ok(self
            .query_one(&format!("SELECT embed_missing({arguments})"), &[])?
            .get(0))
    }

    /// `CALL embed_all_missing(…)` with these arguments.
    pub fn embed_all(&mut self, arguments: &str) -> Result<Finished, Error> {
        let row = self.query_one(&format!("CALL embed_all_missing({arguments})"), &[])?;
        Ok(Finished {
            embedded: row.get("embedded"),
            remaining: row.get("remaining"),
            stopped_because: row.get("stopped_because"),
        })
    }

    /// `CALL mirror_to_chroma(…)` with these arguments: how many rows were mirrored, and how many records removed.
    pub fn mirror(&mut self, arguments: &str) -> Result<(i64, i64), Error> {
        let row = self.query_one(&format!("CALL mirror_to_chroma({arguments})"), &[])?;
        Ok((row.get("mirrored"), row.get("removed")))
    }

    /// The one number that a query gives.
    #[track_caller]
    pub fn number(&mut self, query: &str) -> i64 {
        self.query_one(query, &[])
            .unwrap_or_else(|error| panic!("{query}: {error:?}"))
            .get(0)
    }

    /// The one text that a query gives.
    #[track_caller]
    pub fn text(&mut self, query: &str) -> String {
        self.query_one(query, &[])
            .unwrap_or_else(|error| panic!("{query}: {error:?}"))
            .get(0)
    }

    /// Runs statements that must succeed.
    #[track_caller]
    pub fn run(&mut self, statements: &str) {
        self.batch_execute(statements)
            .unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    }

    /// What the server has told since the last look, each as `NOTICE: text`.
    pub fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut *self.notices.lock().expect("no test panics here"))
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}
