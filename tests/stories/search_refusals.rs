//! What `embed_text`, `embed_texts` and `embed_query` make of bad input, of an API that refuses, and of callers who may not.

use std::thread;

use google_standin::Reply;
use support::{Db, denied, refused, wait_until};

use crate::{
    fixtures::{Gate, always, logs},
    search::vector,
};

#[test]
fn null_is_null() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 1);
    for expression in [
        "embed_text(NULL)",
        "embed_texts(NULL)",
        "embed_query('logs', NULL)",
    ] {
        assert_eq!(
            session.number(&format!("SELECT count({expression})")),
            0,
            "{expression}"
        );
    }
    assert_eq!(db.api.stats().requests, 0);
}

#[test]
fn bad_input() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 1);
    session.run("CREATE TABLE plain (body text); CREATE TABLE bare (embedding vector); CREATE TABLE huge (embedding halfvec(4000))");
    for (expression, sqlstate, message) in [
        (
            "embed_text('')",
            "22023",
            "text 1 is NULL, empty or only white space",
        ),
        (
            "embed_text(E' \\n\\t')",
            "22023",
            "text 1 is NULL, empty or only white space",
        ),
        (
            "embed_texts(ARRAY['a', ' '])",
            "22023",
            "text 2 is NULL, empty",
        ),
        (
            "embed_texts(ARRAY['a', NULL])",
            "22023",
            "text 2 is NULL, empty",
        ),
        ("embed_text('a', dimensions => 0)", "22023", "0 dimensions"),
        (
            "embed_text('a', dimensions => 127)",
            "22023",
            "127 dimensions",
        ),
        (
            "embed_text('a', dimensions => 3073)",
            "22023",
            "3073 dimensions",
        ),
        (
            "embed_text('a', dimensions => -1)",
            "22023",
            "-1 dimensions",
        ),
        (
            "embed_text('a', 'POETRY')",
            "22023",
            "\"POETRY\" is not known",
        ),
        (
            "embed_text('a', model => 'gpt')",
            "22023",
            "\"gpt\" is not known",
        ),
        (
            "embed_text('a', model => 'text-embedding-004')",
            "22023",
            "2026-01-14",
        ),
        ("embed_query('logs', '')", "22023", "text 1 is"),
        (
            "embed_query(NULL, 'a')",
            "22004",
            "relation must not be NULL",
        ),
        ("embed_query('logs', 'a', 'nothing')", "42703", "nothing"),
        ("embed_query('logs', 'a', 'body')", "42804", "body"),
        (
            "embed_query('plain', 'a')",
            "42703",
            "no column of type vector",
        ),
        (
            "embed_query('bare', 'a')",
            "22023",
            "does not say how many dimensions",
        ),
        ("embed_query('huge', 'a')", "22023", "4000 dimensions"),
        (
            "embed_query('pg_stat_activity', 'a')",
            "42809",
            "not a table",
        ),
    ] {
        println!("{expression}");
        refused(
            session.query(&format!("SELECT {expression}"), &[]),
            sqlstate,
            message,
            "",
        );
    }
    assert_eq!(db.api.stats().requests, 0);
}

#[test]
fn a_task_that_an_argument_names_is_not_the_settings_fault() {
    let db = Db::fresh();
    let mut session = db.session();
    let error = refused(
        session.query("SELECT embed_text('a', 'POETRY')", &[]),
        "22023",
        "POETRY",
        "RETRIEVAL_QUERY",
    );
    assert!(
        !error.message().contains("embedding_backfill.task_type"),
        "{}",
        error.message()
    );
}

#[test]
fn a_refusal_is_an_error_and_is_not_remembered() {
    let db = Db::fresh();
    let mut session = db.session();
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    let text = "SELECT embed_text('poison')";
    refused(session.query(text, &[]), "38000", "HTTP 400", "");
    db.api.set(|config| config.poison = None);
    session.run(text);
    always(&db, Reply::recorded("403_no_key"));
    refused(
        session.query("SELECT embed_text('another')", &[]),
        "28000",
        "HTTP 403",
        "",
    );
}

#[test]
fn an_overloaded_service_is_asked_again() {
    let db = Db::fresh();
    db.api
        .set(|config| config.replies = [Reply::recorded("503_overloaded")].into());
    assert_eq!(vector(&mut db.session(), "embed_text('a cat')").len(), 768);
    assert_eq!(db.api.stats().requests, 2);
}

#[test]
fn it_can_be_cancelled() {
    let db = Db::fresh();
    let gate = Gate::after(&db, 0);
    let mut session = db.session();
    thread::scope(|scope| {
        let asks = scope.spawn(|| {
            let mut session = db.session();
            session.run("SET statement_timeout = '20s'");
            let result = session.query("SELECT embed_text('a cat')", &[]).map(drop);
            (
                result,
                session.number("SELECT vector_dims(embed_text('a cat'))::bigint"),
            )
        });
        wait_until("it is in flight", || db.api.stats().in_flight == 1);
        session.run("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT embed_text(%' AND datname = current_database()");
        wait_until("it is asked again", || db.api.stats().requests == 2);
        gate.open();
        let (result, dimensions) = asks.join().unwrap();
        denied(result, "57014", "canceling statement");
        assert_eq!(dimensions, 768);
    });
}

#[test]
fn read_only_transactions_and_roles() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 1);
    session.run("BEGIN READ ONLY; SELECT embed_text('a'), embed_texts('{b}'), embed_query('logs', 'c'); COMMIT");
    let role = db.role("reader");
    session.run(&format!("GRANT SELECT ON logs TO {role}"));
    let mut reader = db.session_as(&role);
    for (function, call) in [
        ("embed_text", "embed_text('a')"),
        ("embed_texts", "embed_texts('{a}')"),
        ("embed_query", "embed_query('logs', 'a')"),
    ] {
        let call = format!("SELECT {call}");
        denied(
            reader.query(&call, &[]),
            "42501",
            &format!("permission denied for function {function}"),
        );
    }
    refused(
        reader.query(
            "SELECT embedding_backfill.embed_each('{a}', NULL, NULL, NULL)",
            &[],
        ),
        "42501",
        "permission denied for embed_texts",
        "GRANT EXECUTE",
    );
    session.run(&format!(
        "GRANT EXECUTE ON FUNCTION embed_texts, embed_query TO {role}"
    ));
    reader.run("SELECT embed_texts('{a}'), embed_query('logs', 'a')");
}
