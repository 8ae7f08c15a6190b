//! Tables, batches and rows of each shape.

use support::{Chroma, Db, Gateway, Session, Store, Verdict};

use crate::mirror::{embedded, mirrors_logs, same, store_of};

/// As `mirror::embedded`, with a gateway in between that sees what is sent.
pub fn watched(rows: u32) -> (Db<'static>, Store<'static>, Gateway, Session) {
    let (db, store, _) = embedded(rows);
    let gateway = Gateway::before(Chroma::shared(), |_| Verdict::Pass);
    db.set("chroma_url", &gateway.url());
    let session = db.session();
    (db, store, gateway, session)
}

/// How many rows each request brought, the most first.
fn sizes(gateway: &Gateway) -> Vec<usize> {
    let mut sizes = gateway.sizes("upsert");
    sizes.sort_by(|a, b| b.cmp(a));
    sizes
}

#[test]
fn halfvec() {
    let db = Db::fresh();
    let store = store_of(&db, Chroma::shared());
    let mut session = db.session();
    session.run(
        "CREATE TABLE logs (id bigint PRIMARY KEY, body text, embedding halfvec(128));
         INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(1, 20) i",
    );
    session.embed_all("'logs'").unwrap();
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (20, 0));
    assert_eq!(mirrors_logs(&mut session, &store), 20);
}

#[test]
fn one_of_two_columns() {
    let (_db, store, mut session) = embedded(20);
    session.run("ALTER TABLE logs ADD COLUMN second vector(256)");
    session
        .embed_all(
            "'logs', content => 'body', embedding_column => 'second', source_filter => 'id > 15'",
        )
        .unwrap();
    support::refused(
        session.mirror("'logs', 'logs', content => 'body'"),
        "42702",
        "embedding",
        "embedding_column =>",
    );
    let call = "'logs', 'logs', content => 'body', embedding_column => 'second'";
    assert_eq!(session.mirror(call).unwrap(), (5, 0));
    let logs = "(SELECT id, second AS embedding FROM logs) l";
    same(&mut session, logs, "id::text", &store, "logs");
}

#[test]
fn a_partitioned_table() {
    let db = Db::fresh();
    let store = store_of(&db, Chroma::shared());
    let mut session = db.session();
    session.run(
        "CREATE TABLE logs (id bigint PRIMARY KEY, body text, embedding vector(128)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF logs FOR VALUES FROM (0) TO (30);
         CREATE TABLE high (embedding vector(128), gone int, id bigint NOT NULL, body text);
         ALTER TABLE high DROP COLUMN gone; ALTER TABLE logs ATTACH PARTITION high DEFAULT;
         INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(1, 60) i",
    );
    session.embed_all("'logs'").unwrap();
    assert_eq!(
        session
            .mirror("'logs', 'logs', metadata => '{id}'")
            .unwrap(),
        (60, 0)
    );
    assert_eq!(mirrors_logs(&mut session, &store), 60);
    session.run("DELETE FROM logs WHERE id IN (3, 50)");
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (58, 2));
    assert_eq!(mirrors_logs(&mut session, &store), 58);
    session.run("DROP TABLE low");
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (31 - 1, 28));
}

#[test]
fn a_batch_is_the_size_of_a_request() {
    let (_db, store, gateway, mut session) = watched(45);
    session.mirror("'logs', 'logs', batch => 10").unwrap();
    assert_eq!(sizes(&gateway), [10, 10, 10, 10, 5]);
    assert_eq!(mirrors_logs(&mut session, &store), 45);
    for batch in ["0", "-1", "NULL"] {
        let call = format!("'logs', 'logs', batch => {batch}");
        support::refused(session.mirror(&call), "22023", "batch", "500");
    }
}

#[test]
fn chromas_own_maximum_is_respected() {
    let (_db, store, gateway, mut session) = watched(30);
    gateway.set(|asked| match asked.is("pre-flight-checks") {
        true => Verdict::Answer(
            200,
            r#"{"max_batch_size":7,"supports_base64_encoding":true}"#,
        ),
        false => Verdict::Pass,
    });
    session.mirror("'logs', 'logs'").unwrap();
    assert_eq!(sizes(&gateway), [7, 7, 7, 7, 2]);
    // What is removed is a batch, too.
    session.run("DELETE FROM logs WHERE id > 10");
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (10, 20));
    let removed = gateway.sizes("delete");
    assert_eq!(removed.iter().sum::<usize>(), 20);
    assert!(removed.iter().all(|&rows| rows <= 7), "{removed:?}");
    assert_eq!(mirrors_logs(&mut session, &store), 10);
}

// Chroma refuses more than 40 MiB, and what is in flight is in memory.
#[test]
fn bodies_stay_below_10_mb() {
    let (_db, store, gateway, mut session) = watched(50);
    session.run("UPDATE logs SET body = id || repeat(' wörd \"quoted\"', 60000)");
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (50, 0));
    let seen = gateway.seen();
    let bodies: Vec<usize> = seen
        .iter()
        .filter(|asked| asked.is("upsert"))
        .map(|asked| asked.body.len())
        .collect();
    assert!(bodies.iter().sum::<usize>() > 40 << 20, "{bodies:?}");
    assert!(
        bodies.iter().all(|&bytes| bytes <= 10_000_000),
        "{bodies:?}"
    );
    assert!(bodies.len() < 25, "{bodies:?}");
    assert_eq!(mirrors_logs(&mut session, &store), 50);
}

// No batch is small enough for it; the others are mirrored, and a WARNING names it.
#[test]
fn a_row_that_is_too_large_for_chroma() {
    let (_db, store, mut session) = embedded(5);
    session.run("UPDATE logs SET body = repeat('0123456789', 4500000) WHERE id = 4");
    session.notices();
    let mirrored = session.mirror("'logs', 'logs'").unwrap();
    assert_eq!(mirrored, (4, 0));
    let warnings: Vec<String> = session
        .notices()
        .into_iter()
        .filter(|notice| notice.starts_with("WARNING"))
        .collect();
    let [warning] = &warnings[..] else {
        panic!("{warnings:#?}")
    };
    assert!(
        warning.contains("record 4 ") && warning.contains("bytes"),
        "{warning}"
    );
    assert_eq!(store.ids("logs"), ["1", "2", "3", "5"]);
}

#[test]
fn a_name_that_is_no_plain_word() {
    let db = Db::fresh();
    let store = store_of(&db, Chroma::shared());
    let mut session = db.session();
    session.run(
        r#"CREATE SCHEMA "S 'x"; CREATE TABLE "S 'x"."T; --" ("the ""Key""" int PRIMARY KEY, "b'ody" text, "e m" vector(128));
           INSERT INTO "S 'x"."T; --" SELECT i, 'entry ' || i FROM generate_series(1, 5) i"#,
    );
    let table = r#"$$"S 'x"."T; --"$$"#;
    session.embed_all(table).unwrap();
    let call = format!(r#"{table}, 'a-name_of.its.own', metadata => '{{"b''ody","the \"Key\""}}'"#);
    assert_eq!(session.mirror(&call).unwrap(), (5, 0));
    let record = &store.records("a-name_of.its.own")["3"];
    assert_eq!(record.document, "entry 3");
    assert_eq!(record.metadata["b'ody"], "entry 3");
    assert_eq!(record.metadata["the \"Key\""], 3);
}

// While a collection is filled, rows come, change and go.
#[test]
fn a_table_in_use() {
    let (db, store, gateway, mut session) = watched(60);
    let other = std::sync::Mutex::new(db.session());
    gateway.set(move |asked| {
        if asked.is("upsert") {
            let mut other = other.lock().unwrap();
            other.run(
                "DELETE FROM logs WHERE id = (SELECT max(id) FROM logs WHERE id <= 60);
                 INSERT INTO logs SELECT (SELECT max(id) + 100 FROM logs), 'later', embedding FROM logs WHERE id = 1",
            );
        }
        Verdict::Pass
    });
    let (mirrored, _) = session.mirror("'logs', 'logs', batch => 20").unwrap();
    assert!(mirrored > 60, "nothing changed meanwhile");
    gateway.set(|_| Verdict::Pass);
    session.mirror("'logs', 'logs'").unwrap();
    assert!(mirrors_logs(&mut session, &store) >= 50);
}
