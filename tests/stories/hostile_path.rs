//! A search_path with somebody else's schema in front of pg_catalog: for every function and operator there, a twin of the same
//! name and arguments, and tables and types by the names of the catalog's. Each fails when it is used. What we mean must be the
//! catalog's, under the caller's rights and all the more under those of the journal's owner.

use support::{Db, Finished, Session, Trial, denied};

use crate::fixtures::{logs, right};

const TWINS: &str = include_str!("twins.sql");

/// Tables and views that our own SQL reads, as empty tables.
const CATALOG: [&str; 18] = [
    "pg_class",
    "pg_attribute",
    "pg_type",
    "pg_proc",
    "pg_namespace",
    "pg_depend",
    "pg_extension",
    "pg_inherits",
    "pg_index",
    "pg_constraint",
    "pg_trigger",
    "pg_am",
    "pg_roles",
    "pg_locks",
    "pg_database",
    "journal",
    "rejected",
    "stop_requests",
];

fn evil(db: &Db) {
    let mut session = db.session();
    session.run(TWINS);
    for table in CATALOG {
        session.run(&format!("CREATE TABLE evil.{table} ()"));
    }
    session.run(
        "GRANT USAGE ON SCHEMA evil TO PUBLIC; GRANT SELECT ON ALL TABLES IN SCHEMA evil TO PUBLIC",
    );
}

#[test]
fn every_name_of_ours_is_the_catalogs() {
    let db = Db::fresh();
    let mut owner = db.session();
    let role = db.role("operator");
    logs(&mut owner, 40);
    owner.run(&format!(
        "UPDATE logs SET body = 'poison' WHERE id = 7;
         CREATE TABLE several (id bigint PRIMARY KEY, a text, b jsonb, embedding halfvec(128)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF several FOR VALUES FROM (0) TO (10);
         CREATE TABLE high PARTITION OF several DEFAULT;
         INSERT INTO several SELECT i, 'entry ' || i, to_jsonb(i) FROM generate_series(1, 20) i;
         CREATE TABLE mine (id bigint PRIMARY KEY, body text, embedding vector(128)); INSERT INTO mine VALUES (1, 'a'), (2, 'b');
         CREATE TABLE bare (id bigint PRIMARY KEY, body text, embedding vector);
         INSERT INTO bare SELECT i, 'entry ' || i FROM generate_series(1, 9) i;
         INSERT INTO bare (id, embedding) VALUES (10, array_fill(1, ARRAY[128])::vector);
         ALTER TABLE mine OWNER TO {role};
         GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role};
         GRANT SELECT, UPDATE ON logs, several, bare TO {role}"
    ));
    evil(&db);
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    let mut tried = 0;
    for user in ["postgres", &role] {
        owner.run("UPDATE logs SET embedding = NULL; UPDATE several SET embedding = NULL; SELECT embed_retry_rejected()");
        let mut session = db.session_as(user);
        session.run("SET search_path = evil, pg_catalog, public");
        tried += everything(&mut session);
        // How many dimensions there are is asked of the rows.
        owner.run("UPDATE bare SET embedding = NULL WHERE id < 10");
        assert_eq!(session.embed_all("'bare'").unwrap(), Finished::done(9, 0));
        assert_eq!(right(&mut owner, "logs"), 39);
        assert_eq!(owner.number("SELECT count(embedding) FROM several"), 20);
    }
    Trial {
        chapter: "Privileges",
        fault: "a search_path with a twin of each operator and function of the catalog in front",
        times: tried,
        seen: "none of them is used",
        lost: 0,
        doubled: 0,
    }
    .note();
}

/// Each function on each kind of table; gives how many calls that were.
fn everything(session: &mut Session) -> u64 {
    // The twins are there, and in front.
    denied(
        session.query("SELECT 'a' || 'b'", &[]),
        "P0001",
        "evil twin",
    );
    denied(session.query("SELECT md5('a')", &[]), "P0001", "evil twin");
    for table in ["logs", "several"] {
        let batch = session.embed(&format!("'{table}', 10")).unwrap();
        assert!(batch > 0, "nothing of {table} was embedded");
        let rest = session.embed_all(&format!("'{table}', 10")).unwrap();
        assert_eq!(rest.remaining, 0);
    }
    let calls = [
        "SELECT * FROM embed_plan('logs')",
        "SELECT * FROM embed_plan('several', source_filter => 'true')",
        "SELECT * FROM embed_verify('logs')",
        "SELECT * FROM embed_verify('several')",
        // The client would look up the type of a vector with operators of its own.
        "SELECT embed_query('logs', 'a question') IS NULL",
        "SELECT embed_text('a text') IS NULL",
        "SELECT embed_texts(ARRAY['one', 'two']) IS NULL",
        "SELECT * FROM embedding_backfill.runs",
        "SELECT * FROM embedding_backfill.rejects",
        "SELECT * FROM embedding_backfill.progress",
        "SELECT embed_stop('logs')",
        "SELECT embed_retry_rejected('logs')",
        "SELECT embed_keep_fresh('mine', 'body')",
        "UPDATE mine SET body = 'c' RETURNING id",
        "SELECT embed_keep_fresh_off('mine')",
    ];
    for call in calls {
        println!("{call}");
        let rows = session.query(call, &[]).unwrap();
        assert!(!rows.is_empty() || call.contains("progress"), "{call}");
    }
    4 + calls.len() as u64
}
