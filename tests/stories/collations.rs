//! Collations of columns: those by which unequal texts are equal, and several of them in one table. A text is what its bytes are.

use support::{Db, Finished, Session};

use crate::{fixtures::right, verify::faults};

/// A collation by which 'a' is 'A'; only where the server knows ICU.
fn insensitive() -> Option<(Db<'static>, Session)> {
    let db = Db::fresh();
    let mut session = db.session();
    let made = session.batch_execute(
        "CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    );
    match made {
        Ok(()) => Some((db, session)),
        Err(error) => {
            assert_eq!(error.code().unwrap().code(), "0A000", "{error:?}");
            None
        }
    }
}

// PostgreSQL matches no pattern by such a collation (0A000).
#[test]
fn texts_that_differ_in_case_alone() {
    let Some((db, mut session)) = insensitive() else {
        return;
    };
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    session.run(
        "CREATE TABLE logs (id int PRIMARY KEY, body text COLLATE insensitive, embedding vector(128));
         INSERT INTO logs VALUES (1, 'foo'), (2, 'FOO'), (3, 'poison'), (4, 'Foo'), (5, E' \\t'), (6, '')",
    );
    let plan = "SELECT rows_pending FROM embed_plan('logs')";
    assert_eq!(session.number(plan), 4);
    assert_eq!(session.embed("'logs', 2").unwrap(), 2);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(1, 0));
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(0, 0));
    assert_eq!(right(&mut session, "logs"), 3);
    assert_eq!(faults(&mut session, "'logs'"), []);
    // And as one column of several.
    session.run("ALTER TABLE logs ADD COLUMN title text; UPDATE logs SET embedding = NULL");
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(3, 0));
}

#[test]
fn a_change_of_case_alone_is_a_change() {
    let Some((_db, mut session)) = insensitive() else {
        return;
    };
    session.run(
        "CREATE TABLE logs (id int PRIMARY KEY, body text COLLATE insensitive, embedding vector(128));
         INSERT INTO logs VALUES (1, 'foo'), (2, 'bar');
         SELECT embed_keep_fresh('logs', 'body')",
    );
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(2, 0));
    session.run("UPDATE logs SET body = body");
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(0, 0));
    session.run("UPDATE logs SET body = 'FOO' WHERE id = 1");
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(1, 0));
    assert_eq!(right(&mut session, "logs"), 2);
}

// Where PostgreSQL can't tell which one to compare by, it compares nothing (42P22).
#[test]
fn columns_of_different_collations() {
    let db = Db::fresh();
    let mut session = db.session();
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    session.run(
        r#"CREATE TABLE t (id int PRIMARY KEY, a text COLLATE "C", b text COLLATE "POSIX", embedding vector(128));
           INSERT INTO t SELECT i, 'entry ' || i, 'title ' || i FROM generate_series(1, 9) i;
           INSERT INTO t VALUES (10, 'poison', 'title'), (11, ' ', NULL)"#,
    );
    for content in ["", ", content => 'a || b'"] {
        let call = format!("'t'{content}");
        assert_eq!(session.embed_all(&call).unwrap(), Finished::done(9, 0));
        assert_eq!(session.embed_all(&call).unwrap(), Finished::done(0, 0));
        assert_eq!(faults(&mut session, &call), []);
        session.run("UPDATE t SET embedding = NULL");
    }
}
