//! The tables that several stories start from, and ways to make the API misbehave.

use std::sync::Arc;

use google_standin::Reply;
use support::{Db, Session, Space};

/// `logs`: rows with a key, a text of their own, and no vector yet.
pub fn logs(session: &mut Session, rows: u32) {
    session.run(&format!(
        "CREATE TABLE logs (id bigint PRIMARY KEY, body text, embedding vector(128));
         INSERT INTO logs SELECT i, 'entry ' || i || repeat(' naïve café', i % 5) FROM generate_series(1, {rows}) i"
    ));
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
