//! Vectors for search are remembered in their session: a query plan that asks for each row costs one request.

use support::{Db, Session};

use crate::fixtures::logs;

#[test]
fn one_request_however_many_rows_the_plan_has() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 500);
    session.embed_all("'logs', 100").unwrap();
    for query in [
        "SELECT id FROM logs ORDER BY embedding <=> embed_query('logs', 'first') LIMIT 5",
        "SELECT count(embedding <=> embed_query('logs', 'second')) FROM logs",
        "SELECT count(*) FROM logs WHERE embedding <=> embed_text('third' || left(id::text, 0), dimensions => 128) < 2",
    ] {
        let before = db.api.stats().requests;
        session.query(query, &[]).unwrap();
        assert_eq!(db.api.stats().requests, before + 1, "{query}");
    }
    // In the next statement and in the next transaction it is still known; in another session it is not.
    let before = db.api.stats().requests;
    session.run("SELECT embed_query('logs', 'first')");
    assert_eq!(db.api.stats().requests, before);
    db.session().run("SELECT embed_query('logs', 'first')");
    assert_eq!(db.api.stats().requests, before + 1);
}

#[test]
fn the_last_128_are_remembered() {
    let db = Db::fresh();
    let mut session = db.session();
    let texts: Vec<String> = (0..128).map(|i| format!("text {i}")).collect();
    session
        .query_one("SELECT embed_texts($1, dimensions => 128)", &[&texts])
        .unwrap();
    let requests = db.api.stats().requests;
    let ask = |session: &mut Session, text: &str| {
        let before = db.api.stats().texts;
        session.run(&format!(
            "SELECT embed_text('{text}', 'RETRIEVAL_DOCUMENT', dimensions => 128)"
        ));
        db.api.stats().texts - before
    };
    for text in &texts {
        assert_eq!(ask(&mut session, text), 0, "{text}");
    }
    assert_eq!(db.api.stats().requests, requests);
    assert_eq!(ask(&mut session, "one more"), 1);
    assert_eq!(ask(&mut session, "one more"), 0);
    let known = texts
        .iter()
        .filter(|text| ask(&mut session, text) == 0)
        .count();
    // Asking for the forgotten one pushes the next one out, so that is where order matters.
    assert!(known < 128, "one was forgotten");
}

#[test]
fn other_dimensions_models_and_tasks_are_other_questions() {
    let db = Db::fresh();
    let mut session = db.session();
    for (asked, more) in [
        "",
        ", 'CLUSTERING'",
        ", dimensions => 128",
        ", model => 'gemini-embedding-001'",
    ]
    .iter()
    .enumerate()
    {
        let ask = format!("SELECT embed_text('a cat'{more})");
        session.run(&ask);
        session.run(&ask);
        assert_eq!(db.api.stats().requests, asked as u64 + 1, "{more}");
    }
}

#[test]
fn a_column_that_changes_its_type_is_looked_at_again() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 1);
    let size = |session: &mut Session| {
        session.number("SELECT vector_dims(embed_query('logs', 'a cat'))::bigint")
    };
    assert_eq!(size(&mut session), 128);
    session.run("ALTER TABLE logs ALTER COLUMN embedding TYPE vector(256)");
    assert_eq!(size(&mut session), 256);
    // Also when another session does it.
    db.session()
        .run("ALTER TABLE logs ALTER COLUMN embedding TYPE halfvec(512)");
    assert_eq!(size(&mut session), 512);
    session.run("DROP TABLE logs; CREATE TABLE logs (body text, embedding vector(384))");
    assert_eq!(size(&mut session), 384);
    // Within a prepared statement, too.
    let prepared = session
        .prepare("SELECT vector_dims(embed_query('logs', 'a cat'))")
        .unwrap();
    assert_eq!(
        session.query_one(&prepared, &[]).unwrap().get::<_, i32>(0),
        384
    );
    session.run("ALTER TABLE logs ALTER COLUMN embedding TYPE vector(128)");
    assert_eq!(
        session.query_one(&prepared, &[]).unwrap().get::<_, i32>(0),
        128
    );
}
