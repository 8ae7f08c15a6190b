//! What is found out before the first request: what would fail costs nothing, and what would be slow or short is said.

use support::{Db, Finished, Session, Space, denied};

use crate::fixtures::{filled, logs, right};

const CALLS: [&str; 2] = [
    "SELECT embed_missing('logs')",
    "CALL embed_all_missing('logs')",
];

fn told(session: &mut Session, words: &str) -> bool {
    let notices = session.notices();
    println!("{notices:#?}");
    notices.iter().any(|notice| notice.contains(words))
}

#[test]
fn a_published_table_that_can_not_be_updated() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE logs (body text, embedding vector(128));
         INSERT INTO logs SELECT 'entry ' || i FROM generate_series(1, 10) i;
         CREATE PUBLICATION everything FOR TABLE logs",
    );
    for call in CALLS {
        denied(session.query(call, &[]), "55000", "replica identity");
    }
    assert_eq!(db.api.stats().requests, 0);
    session.run("ALTER TABLE logs REPLICA IDENTITY FULL");
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(10, 0));
}

#[test]
fn a_published_partition_that_can_not_be_updated() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE logs (id int, body text, embedding vector(128)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF logs FOR VALUES FROM (0) TO (6);
         CREATE TABLE high PARTITION OF logs DEFAULT;
         INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(1, 10) i;
         CREATE PUBLICATION one FOR TABLE high",
    );
    for call in CALLS {
        denied(session.query(call, &[]), "55000", "replica identity");
    }
    assert_eq!(db.api.stats().requests, 0);
}

#[test]
fn a_read_only_transaction() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 10);
    session.run("SET default_transaction_read_only = on");
    for call in CALLS {
        denied(session.query(call, &[]), "25006", "read-only");
    }
    assert_eq!(db.api.stats().requests, 0);
}

/// Warned of, and embedded all the same.
fn warned_of_index(index: &str) {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 10);
    session.run(index);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(10, 0));
    assert!(
        told(&mut session, "WARNING: logs.embedding has a vector index"),
        "{index}"
    );
    assert_eq!(right(&mut session, "logs"), 10);
}

#[test]
fn a_vector_index_on_the_column() {
    warned_of_index("CREATE INDEX ON logs USING hnsw (embedding vector_cosine_ops)");
    warned_of_index(
        "CREATE INDEX ON logs USING ivfflat (embedding vector_l2_ops) WITH (lists = 1)",
    );
}

// How columns of more than 2,000 dimensions are indexed.
#[test]
fn a_vector_index_on_an_expression_of_the_column() {
    warned_of_index(
        "CREATE INDEX ON logs USING hnsw ((embedding::halfvec(128)) halfvec_cosine_ops)",
    );
}

#[test]
fn a_vector_index_on_a_partition() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE logs (id int, body text, embedding vector(128)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF logs FOR VALUES FROM (0) TO (6);
         CREATE TABLE high PARTITION OF logs DEFAULT;
         INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(1, 10) i;
         CREATE INDEX ON high USING hnsw (embedding vector_cosine_ops)",
    );
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(10, 0));
    assert!(told(&mut session, "has a vector index"));
}

#[test]
fn other_indexes_and_other_columns_are_no_news() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 10);
    session.run(
        "ALTER TABLE logs ADD COLUMN other vector(128); CREATE INDEX ON logs USING hnsw (other vector_cosine_ops);
         CREATE INDEX ON logs (body) WHERE embedding IS NULL",
    );
    session
        .embed_all("'logs', embedding_column => 'embedding'")
        .unwrap();
    assert!(!told(&mut session, "WARNING"));
}

#[test]
fn a_statement_timeout() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 10);
    session.run("SET statement_timeout = '10min'");
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(10, 0));
    assert!(told(&mut session, "WARNING: statement_timeout is 10min"));
}

/// `logs` whose rows a trigger changes with this statement as they are filled, each tenth or all.
fn trigger(session: &mut Session, change: &str, when: &str) {
    session.run(&format!(
        "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {change}; RETURN NEW; END $$;
         CREATE TRIGGER change BEFORE UPDATE ON logs FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION change()"
    ));
}

#[test]
fn row_triggers_are_named() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 10);
    trigger(&mut session, "NULL", "true");
    session.embed_all("'logs'").unwrap();
    assert!(told(
        &mut session,
        "triggers of logs run for each row: change"
    ));
}

// The vector was made from other content than what stands beside it then.
#[test]
fn a_trigger_that_changes_the_content_each_time() {
    for call in CALLS {
        let db = Db::fresh();
        let mut session = db.session();
        logs(&mut session, 50);
        trigger(
            &mut session,
            "NEW.body := NEW.body || '!'",
            "OLD.id % 10 = 0",
        );
        session.query(call, &[]).unwrap();
        assert_eq!(filled(&mut session, "logs"), 45, "{call}");
        assert_eq!(right(&mut session, "logs"), 45);
    }
}

// Would run for ever if rows that are refused were claimed again at their new place.
#[test]
fn a_trigger_that_changes_every_content_each_time() {
    for call in CALLS {
        let db = Db::fresh();
        let mut session = db.session();
        logs(&mut session, 20);
        trigger(&mut session, "NEW.body := NEW.body || '!'", "true");
        session.run("SET statement_timeout = '20s'");
        session.query(call, &[]).unwrap();
        assert_eq!(filled(&mut session, "logs"), 0);
        let texts = db.api.stats().texts;
        assert!(texts <= 60, "{call}: {texts} texts were paid for");
    }
}

#[test]
fn a_trigger_that_puts_the_content_in_order_once() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 50);
    session.run("UPDATE logs SET body = 'ENTRY ' || id WHERE id % 10 = 0");
    trigger(&mut session, "NEW.body := lower(NEW.body)", "true");
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(50, 0));
    assert_eq!(
        Space::GEMINI_2.holds(&mut session, "logs", "body", "embedding"),
        50
    );
    assert_eq!(db.api.stats().texts, 55);
}
