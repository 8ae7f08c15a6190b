//! `embed_retry_rejected`: rows that were refused are sent again when somebody who may asks for it.

use support::{Db, Finished, Session, refused};

/// A table with two rejected rows, and the API mended.
fn rejected(table: &str, db: &Db, session: &mut Session) {
    session.run(&format!(
        "CREATE TABLE {table} (id int PRIMARY KEY, body text, embedding vector(128));
         INSERT INTO {table} SELECT i, CASE WHEN i < 3 THEN 'poison ' || i ELSE 'entry ' || i END FROM generate_series(1, 20) i"
    ));
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    assert_eq!(
        session.embed_all(&format!("'{table}'")).unwrap(),
        Finished::done(18, 0)
    );
    db.api.set(|config| config.poison = None);
}

fn retry(session: &mut Session, arguments: &str) -> Result<i64, postgres::Error> {
    Ok(session
        .query_one(&format!("SELECT embed_retry_rejected({arguments})"), &[])?
        .get(0))
}

#[test]
fn rejected_rows_are_sent_again_when_asked() {
    let db = Db::fresh();
    let mut session = db.session();
    for table in ["a", "b", "c"] {
        rejected(table, &db, &mut session);
    }
    assert_eq!(
        retry(&mut session, "'logs_of_nobody'").map_err(|e| e.code().unwrap().code().to_owned()),
        Err("42P01".to_owned())
    );
    assert_eq!(session.embed_all("'a'").unwrap(), Finished::done(0, 0));
    assert_eq!(retry(&mut session, "'a'").unwrap(), 2);
    assert_eq!(retry(&mut session, "'a'").unwrap(), 0);
    assert_eq!(
        session.number("SELECT count(*) FROM embedding_backfill.rejects"),
        4
    );
    assert_eq!(session.embed_all("'a'").unwrap(), Finished::done(2, 0));
    assert_eq!(session.embed_all("'b'").unwrap(), Finished::done(0, 0));
    assert_eq!(retry(&mut session, "").unwrap(), 4);
    assert_eq!(session.embed("'b'").unwrap(), 2);
    assert_eq!(session.embed("'c'").unwrap(), 2);
}

#[test]
fn who_may_have_them_sent_again() {
    let db = Db::fresh();
    let mut session = db.session();
    rejected("a", &db, &mut session);
    rejected("b", &db, &mut session);
    let [writer, reader, stranger] = ["writer", "reader", "stranger"].map(|name| db.role(name));
    session.run(&format!(
        "GRANT SELECT ON a TO {reader}; GRANT SELECT, UPDATE (embedding) ON a TO {writer}"
    ));
    refused(
        retry(&mut db.session_as(&reader), "'a'"),
        "42501",
        "permission denied to forget the rejected rows",
        "owner",
    );
    assert_eq!(retry(&mut db.session_as(&reader), "").unwrap(), 0);
    assert_eq!(retry(&mut db.session_as(&stranger), "").unwrap(), 0);
    assert_eq!(retry(&mut db.session_as(&writer), "").unwrap(), 2);
    assert_eq!(
        session.number(
            "SELECT count(*) FROM embedding_backfill.rejects WHERE relation = 'b'::regclass"
        ),
        2
    );
    // A rejected row of a table that is gone is in nobody's way.
    session.run("DROP TABLE b");
    retry(&mut session, "").unwrap();
}

#[test]
fn of_the_columns_that_one_may_update() {
    let db = Db::fresh();
    let mut session = db.session();
    rejected("a", &db, &mut session);
    session.run("ALTER TABLE a ADD COLUMN other vector(128)");
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    session
        .embed_all("'a', embedding_column => 'other'")
        .unwrap();
    let writer = db.role("writer");
    session.run(&format!("GRANT SELECT, UPDATE (other) ON a TO {writer}"));
    let left = "SELECT string_agg(DISTINCT embedding_column, ' ') FROM embedding_backfill.rejects";
    assert_eq!(retry(&mut db.session_as(&writer), "'a'").unwrap(), 2);
    assert_eq!(session.text(left), "embedding");
    refused(
        retry(&mut db.session_as(&writer), "'a'"),
        "42501",
        "permission denied to forget the rejected rows",
        "owner",
    );
    // What a column left behind.
    session.run("ALTER TABLE a DROP COLUMN embedding");
    assert_eq!(retry(&mut session, "'a'").unwrap(), 2);
}
