//! The tables that several stories start from, and ways to make the API misbehave.

use std::{
    ops::RangeBounds,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    thread::sleep,
    time::Duration,
};

use google_standin::Reply;
use support::{Db, Session, Space};

/// Tells a story at each of Google's two doors.
macro_rules! at_both {
    ($($story:ident)*) => {
        $(mod $story {
            #[test]
            fn gemini() {
                super::$story(&support::Db::fresh());
            }

            #[test]
            fn vertex() {
                super::$story(&support::Vertex::fresh());
            }
        })*
    };
}
pub(crate) use at_both;

/// `logs`: rows with a key, a text of their own, and no vector yet.
pub fn logs(session: &mut Session, rows: u32) {
    session.run(&format!(
        "CREATE TABLE logs (id bigint PRIMARY KEY, body text, embedding vector(128));
         INSERT INTO logs SELECT i, 'entry ' || i || repeat(' naïve café', i % 5) FROM generate_series(1, {rows}) i"
    ));
}

/// A number that the environment may set, for the long form of a story.
pub fn told(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is a number"))
    })
}

/// How many rows of the table have a vector.
pub fn filled(session: &mut Session, table: &str) -> i64 {
    session.number(&format!("SELECT count(embedding) FROM {table}"))
}

/// How many rows have a vector, each checked to be the one of its own `body`.
#[track_caller]
pub fn right(session: &mut Session, relation: &str) -> usize {
    Space::GEMINI_2.holds(session, relation, "body", "embedding")
}

/// Every request gets this reply from now on.
pub fn always(db: &Db, reply: Reply) {
    db.api
        .set(|config| config.script = Some(Arc::new(move |_| Some(reply.clone()))));
}

/// The API does again what Google does.
pub fn mended(db: &Db) {
    db.api.set(|config| config.script = None);
}

/// Stands between requests and their answers until it is opened; half a minute at most, so that a failed story ends.
#[derive(Clone, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    /// The first `free` requests from now on are answered at once.
    pub fn after(db: &Db, free: u32) -> Gate {
        Gate::before(db, free..)
    }

    /// Only the first request from now on has to wait.
    pub fn for_the_first(db: &Db) -> Gate {
        Gate::before(db, 0..1)
    }

    fn before(db: &Db, requests: impl RangeBounds<u32> + Send + Sync + 'static) -> Gate {
        let gate = Gate::default();
        let (shut, arrived) = (gate.clone(), AtomicU32::new(0));
        db.api.set(|config| {
            config.script = Some(Arc::new(move |_| {
                if requests.contains(&arrived.fetch_add(1, Relaxed)) {
                    shut.wait();
                }
                None
            }));
        });
        gate
    }

    pub fn open(&self) {
        self.0.store(true, Relaxed);
    }

    fn wait(&self) {
        let mut polls = 0;
        while !self.0.load(Relaxed) && polls < 6000 {
            polls += 1;
            sleep(Duration::from_millis(5));
        }
    }
}

/// A hundred pending rows, and what another session does to them while the first request is being answered.
pub fn while_the_first_request_is_answered(
    change: impl FnOnce(&mut Session) + Send + 'static,
) -> (Db<'static>, Session) {
    let db = Db::fresh();
    db.set("concurrency", "1");
    let mut session = db.session();
    logs(&mut session, 100);
    let change = Mutex::new(Some((db.session(), change)));
    db.api.set(|config| {
        config.script = Some(Arc::new(move |_| {
            if let Some((mut other, change)) =
                change.lock().expect("the change does not panic").take()
            {
                change(&mut other);
            }
            None
        }));
    });
    (db, session)
}
