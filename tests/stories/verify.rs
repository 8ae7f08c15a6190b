//! `embed_verify`: the proof after the run. It passes on a good column, names the fault of a bad one, and costs its sample.

use support::{Db, Session, Vertex};

use crate::fixtures::logs;

/// Its checks by name, each with its verdict and detail.
#[track_caller]
pub fn verify(session: &mut Session, arguments: &str) -> Vec<(String, bool, String)> {
    session
        .query(&format!("SELECT * FROM embed_verify({arguments})"), &[])
        .unwrap_or_else(|error| panic!("{error:?}"))
        .iter()
        .map(|row| {
            (
                row.get(0),
                row.get(1),
                row.get::<_, String>(2).replace('\n', " "),
            )
        })
        .collect()
}

/// The checks that failed.
pub fn faults(session: &mut Session, arguments: &str) -> Vec<(String, String)> {
    verify(session, arguments)
        .into_iter()
        .filter(|(_, ok, _)| !ok)
        .map(|(name, _, detail)| (name, detail))
        .collect()
}

/// Thirty rows with the right vectors.
pub fn good() -> (Db<'static>, Session) {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 30);
    session.embed_all("'logs'").unwrap();
    (db, session)
}

#[track_caller]
pub fn names(faults: &[(String, String)], check: &str, words: &[&str]) {
    let (_, detail) = faults
        .iter()
        .find(|(name, _)| name == check)
        .unwrap_or_else(|| panic!("{check} is not among {faults:?}"));
    for word in words {
        assert!(detail.contains(word), "{word:?} is not in {detail}");
    }
}

#[test]
fn a_good_column_passes() {
    let (_db, mut session) = good();
    let checks = verify(&mut session, "'logs'");
    let names: Vec<&str> = checks.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "complete",
            "dimensions",
            "not zero",
            "unit length",
            "distinct",
            "made from its content",
            "found by its content"
        ]
    );
    assert!(checks.iter().all(|(_, ok, _)| *ok), "{checks:?}");
    assert_eq!(checks[0].2, "30 of 30 rows have a vector");
    assert!(
        checks[5]
            .2
            .contains("20 rows embedded again with gemini-embedding-2")
    );
}

#[test]
fn other_good_columns_pass() {
    for (ddl, arguments) in [
        (
            "CREATE TABLE t (body text, embedding halfvec(256)); INSERT INTO t SELECT 'entry ' || i FROM generate_series(1, 25) i",
            "'t'",
        ),
        (
            "CREATE TABLE t (id int, body text, embedding vector(128), PRIMARY KEY (id, body)) PARTITION BY LIST (id);
             CREATE TABLE one PARTITION OF t FOR VALUES IN (1); CREATE TABLE two PARTITION OF t DEFAULT;
             INSERT INTO t SELECT i % 3, 'entry ' || i FROM generate_series(1, 25) i",
            "'t'",
        ),
        (
            r#"CREATE TABLE t ("Key ""1" int PRIMARY KEY, "the Body" jsonb, a vector(128), "B" vector(256));
               INSERT INTO t SELECT i, to_jsonb('entry ' || i) FROM generate_series(1, 25) i"#,
            "'t', embedding_column => 'B'",
        ),
    ] {
        let db = Db::fresh();
        let mut session = db.session();
        session.run(ddl);
        session.embed_all(arguments).unwrap();
        assert_eq!(faults(&mut session, arguments), []);
        let before = db.api.stats().texts;
        verify(&mut session, arguments);
        assert_eq!(db.api.stats().texts - before, 20);
    }
    // The model that is not scaled by Google.
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 20);
    session.run("SET embedding_backfill.model = 'gemini-embedding-001'");
    session.embed_all("'logs'").unwrap();
    assert_eq!(faults(&mut session, "'logs'"), []);
    let strangers = faults(&mut session, "'logs', model => 'gemini-embedding-2'");
    names(&strangers, "made from its content", &["20 of 20 rows"]);
}

// Neither is a fault of the column.
#[test]
fn blank_and_rejected_rows_are_told() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 30);
    session.run(
        "UPDATE logs SET body = ' ' WHERE id < 4; UPDATE logs SET body = 'poison' WHERE id = 5",
    );
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    session.embed_all("'logs'").unwrap();
    let checks = verify(&mut session, "'logs'");
    let (name, ok, detail) = &checks[0];
    assert_eq!((name.as_str(), ok), ("complete", &true));
    for words in ["26 of 30", "3 blank", "1 rejected"] {
        assert!(detail.contains(words), "{detail}");
    }
}

// With more twins than it looks at, a row need not be among the nearest of its own content, and nothing is wrong.
#[test]
fn many_equal_contents() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 60);
    session.run("UPDATE logs SET body = 'the same' WHERE id < 50");
    session.embed_all("'logs'").unwrap();
    assert_eq!(faults(&mut session, "'logs', 60"), []);
}

#[test]
fn with_an_index_on_the_column() {
    let (_db, mut session) = good();
    session.run(
        "CREATE INDEX ON logs USING hnsw (embedding vector_cosine_ops); SET enable_seqscan = off",
    );
    assert_eq!(faults(&mut session, "'logs', 30"), []);
}

// The settings of the session that verifies need not be those of the one that filled the column.
#[test]
fn the_model_and_task_are_those_of_the_last_run() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 30);
    session.run("UPDATE logs SET body = 'poison' WHERE id = 5");
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    session.run("SET embedding_backfill.task_type = 'CLUSTERING'");
    for model in ["gemini-embedding-2", "gemini-embedding-001"] {
        session.run(&format!(
            "UPDATE logs SET embedding = NULL; SET embedding_backfill.model = '{model}'"
        ));
        session.embed_all("'logs'").unwrap();
        for arguments in ["'logs'".to_owned(), format!("'logs', model => '{model}'")] {
            let checks = verify(&mut db.session(), &arguments);
            assert!(checks.iter().all(|(_, ok, _)| *ok), "{checks:?}");
            let rejected = "29 of 30 rows have a vector; 1 rejected";
            assert!(checks[0].2.starts_with(rejected), "{checks:?}");
        }
    }
    // Another model has made them for another task, as far as anybody knows.
    let strangers = faults(&mut db.session(), "'logs', model => 'gemini-embedding-2'");
    names(&strangers, "made from its content", &["20 of 20 rows"]);
}

#[test]
fn a_model_that_the_setting_could_not_have_made() {
    let db = Vertex::fresh();
    let mut session = db.session();
    logs(&mut session, 20);
    session.embed_all("'logs'").unwrap();
    // It has 768 dimensions and no others.
    session.run("SET embedding_backfill.model = 'text-embedding-005'");
    assert_eq!(faults(&mut session, "'logs'"), []);
}
