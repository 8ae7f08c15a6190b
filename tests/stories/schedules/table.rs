//! The table of one schedule, and beside it what it must be compared with: a mirror that writers keep in the same statement, and
//! a ledger of each vector that was written, kept by a trigger in the transaction that wrote it.

use support::{Db, Session};

use crate::fixtures::right;

use super::{plan::Plan, weather::POISON};

pub const ROWS: u64 = 120;

/// Who writes vectors says so by this name, and none else does.
pub const CALLER: &str = "caller";

/// A lock that a caller wants before it writes one row.
pub const GATE: i64 = 7;

pub fn create(db: &Db, plan: &Plan) {
    let mut session = db.session();
    let partitioned = match plan.partitioned {
        true => {
            "PARTITION BY LIST (shard);
             CREATE TABLE logs_0 PARTITION OF logs FOR VALUES IN (0);
             CREATE TABLE logs_1 PARTITION OF logs FOR VALUES IN (1);
             CREATE TABLE logs_2 PARTITION OF logs FOR VALUES IN (2)"
        }
        false => "",
    };
    // `tag` is what a row is known by; all else of it changes.
    session.run(&format!(
        "CREATE TABLE logs (id bigint, shard int, tag bigint, body text, note text, embedding vector(128),
                            PRIMARY KEY (id, shard)) {partitioned};
         INSERT INTO logs SELECT i, i % 3, i, 'entry ' || i || repeat(' naïve café', i::int % 5), 'kept'
         FROM generate_series(1, {ROWS}) i;
         CREATE TABLE mirror (tag bigint PRIMARY KEY, id bigint, shard int, body text, note text);
         INSERT INTO mirror SELECT tag, id, shard, body, note FROM logs;
         CREATE TABLE ledger (tag bigint, writer text, had_one boolean);
         CREATE FUNCTION enter() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO ledger VALUES (new.tag, current_setting('application_name'), old.embedding IS NOT NULL);
             IF (SELECT count(*) FROM ledger) >= nullif(current_setting('story.stands_at', true), '')::bigint THEN
                 PERFORM pg_advisory_xact_lock_shared({GATE});
             END IF;
             RETURN NULL;
         END $$;
         CREATE TRIGGER enter AFTER UPDATE OF embedding ON logs FOR EACH ROW
         WHEN (new.embedding IS NOT NULL AND new.embedding IS DISTINCT FROM old.embedding) EXECUTE FUNCTION enter()"
    ));
    if plan.kept_fresh {
        session.run("SELECT embed_keep_fresh('logs', 'body')");
    }
}

/// What must hold at any moment, also while others write: each comparison is of one snapshot.
#[track_caller]
pub fn holds(session: &mut Session) {
    right(session, "logs");
    let others = "SELECT count(*) FROM logs FULL JOIN mirror USING (tag)
                  WHERE (logs.id, logs.shard, logs.body, logs.note) IS DISTINCT FROM (mirror.id, mirror.shard, mirror.body, mirror.note)";
    assert_eq!(
        session.number(others),
        0,
        "rows were changed beyond their vector"
    );
    let twice = format!("SELECT count(*) FROM ledger WHERE had_one OR writer <> '{CALLER}'");
    assert_eq!(
        session.number(&twice),
        0,
        "rows were written that had a vector"
    );
    let journal = "SELECT (SELECT coalesce(sum(embedded), 0) FROM embedding_backfill.runs)::bigint - (SELECT count(*) FROM ledger)";
    assert_eq!(
        session.number(journal),
        0,
        "the journal says other than the table"
    );
}

/// What must hold when all is over: nothing is missing that can be had, and nothing is held.
#[track_caller]
pub fn is_complete(session: &mut Session) {
    holds(session);
    let missing = format!(
        "SELECT count(*) FROM logs WHERE (embedding IS NULL) <> (body !~ '\\S' OR body LIKE '%{POISON}%')"
    );
    assert_eq!(session.number(&missing), 0, "rows were left out");
    let refused = format!(
        "SELECT count(DISTINCT body) - (SELECT count(*) FROM embedding_backfill.rejects
                                        WHERE content_md5 IN (SELECT md5(body) FROM logs))
         FROM logs WHERE body LIKE '%{POISON}%'"
    );
    assert_eq!(
        session.number(&refused),
        0,
        "rejects are not the rows that were refused"
    );
    let running = "SELECT count(*) FROM embedding_backfill.runs WHERE state = 'running'";
    assert_eq!(session.number(running), 0);
    let held = "SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid()
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(session.number(held), 0, "locks are held");
}

/// Takes vectors away, so that at least so many rows are pending.
pub fn make_pending(session: &mut Session, rows: u64) {
    session.run(&format!(
        "UPDATE logs SET embedding = NULL WHERE tag IN (
             SELECT tag FROM logs WHERE embedding IS NOT NULL ORDER BY md5(tag || body)
             LIMIT greatest({rows} - (SELECT count(*) FROM logs WHERE embedding IS NULL AND body ~ '\\S' AND body NOT LIKE '%{POISON}%'), 0)
             FOR UPDATE SKIP LOCKED)"
    ));
}
