//! `embed_verify` as a call: what it costs, that it changes nothing, how it reads, and what it refuses.

use google_standin::Reply;
use support::{Db, denied, refused};

use crate::{
    fixtures::{always, logs},
    verify::{faults, good, names, verify},
};

#[test]
fn it_spends_its_sample_and_no_more() {
    let (db, mut session) = good();
    for (arguments, texts) in [
        ("'logs', 7", 7),
        ("'logs'", 20),
        ("'logs', 1000", 30),
        ("'logs', sample => 1", 1),
    ] {
        let before = db.api.stats();
        verify(&mut session, arguments);
        let after = db.api.stats();
        assert_eq!(after.texts - before.texts, texts, "{arguments}");
        assert_eq!(after.requests - before.requests, 1);
    }
    // Two hundred texts are two requests.
    session.run("UPDATE logs SET embedding = NULL; INSERT INTO logs SELECT i, 'more ' || i FROM generate_series(31, 250) i");
    session.embed_all("'logs'").unwrap();
    let before = db.api.stats();
    assert_eq!(faults(&mut session, "'logs', 200"), []);
    let after = db.api.stats();
    assert_eq!(
        (after.texts - before.texts, after.requests - before.requests),
        (200, 2)
    );
}

#[test]
fn nothing_to_verify_costs_nothing() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run("CREATE TABLE t (body text, embedding vector(128))");
    assert_eq!(faults(&mut session, "'t'"), []);
    session.run("INSERT INTO t VALUES ('one')");
    names(&faults(&mut session, "'t'"), "complete", &["0 of 1 rows"]);
    assert_eq!(db.api.stats().requests, 0);
}

#[test]
fn it_changes_nothing_and_reads_in_a_read_only_transaction() {
    let (_db, mut session) = good();
    let places = "SELECT string_agg(ctid || ' ' || xmin, ',' ORDER BY id) FROM logs";
    let before = session.text(places);
    session.run("BEGIN READ ONLY");
    assert_eq!(faults(&mut session, "'logs'"), []);
    session.run("COMMIT");
    assert_eq!(session.text(places), before);
}

#[test]
fn an_api_that_refuses() {
    let (db, mut session) = good();
    always(&db, Reply::recorded("403_no_key"));
    refused(
        session.query("SELECT * FROM embed_verify('logs')", &[]),
        "28000",
        "HTTP 403",
        "",
    );
    db.reset("api_key_file");
    let mut other = db.session();
    refused(
        other.query("SELECT * FROM embed_verify('logs')", &[]),
        "F0000",
        "key",
        "api_key_file",
    );
}

#[test]
fn bad_input() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    for (arguments, sqlstate, message) in [
        ("NULL", "22004", "relation must not be NULL"),
        ("'logs', 0", "22023", "sample is 0"),
        ("'logs', 1001", "22023", "sample is 1001"),
        ("'logs', -1", "22023", "sample is -1"),
        ("'logs', NULL", "22023", "sample is NULL"),
        ("'logs', content => 'nothing'", "42703", "nothing"),
        ("'logs', embedding_column => 'nothing'", "42703", "nothing"),
        ("'logs', model => 'gpt'", "22023", "\"gpt\" is not known"),
        ("'pg_stat_activity'", "42809", "not a table"),
    ] {
        println!("{arguments}");
        let query = format!("SELECT * FROM embed_verify({arguments})");
        refused(session.query(&query, &[]), sqlstate, message, "");
    }
    assert_eq!(db.api.stats().requests, 0);
    let role = db.role("anybody");
    session.run(&format!("GRANT SELECT ON logs TO {role}"));
    denied(
        db.session_as(&role)
            .query("SELECT * FROM embed_verify('logs')", &[]),
        "42501",
        "permission denied for function embed_verify",
    );
}

#[test]
fn each_line_fits_into_a_window_of_100_columns() {
    let (db, mut session) = good();
    session.run("UPDATE logs SET body = 'changed ' || id WHERE id < 20");
    for arguments in ["'logs'", "'logs', 30"] {
        let query = format!("SELECT * FROM embed_verify({arguments})");
        let said = db.psql(&["-c", &query]);
        for line in said.stdout.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}
