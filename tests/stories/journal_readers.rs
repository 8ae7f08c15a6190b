//! Who sees the journal: those who may know what was done to a table, and nobody else; and nobody writes it by hand.

use support::{Db, Finished, Session, Trial, denied};

use crate::fixtures::logs;
use crate::journal::runs;

/// A role that may do all that a run needs and is no superuser.
pub fn operator(db: &Db) -> String {
    let role = db.role("operator");
    db.session().run(&format!(
        "GRANT SELECT, UPDATE ON logs TO {role}; GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role}"
    ));
    role
}

#[test]
fn an_operator_who_is_no_superuser_can_use_it() {
    let db = Db::fresh();
    let mut owner = db.session();
    logs(&mut owner, 30);
    owner.run("UPDATE logs SET body = 'poison' WHERE id = 3");
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    let role = operator(&db);
    let mut session = db.session_as(&role);
    assert_eq!(session.embed("'logs', 10").unwrap(), 10);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(19, 0));
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(0, 0));
    let runs = runs(&mut session);
    assert!(runs.len() >= 2 && runs.iter().all(|run| run["run_by"] == role.as_str()));
    assert_eq!(
        session.number("SELECT count(*) FROM embedding_backfill.rejects"),
        1
    );
    assert_eq!(
        session.number("SELECT count(*) FROM embedding_backfill.progress"),
        0
    );
}

#[test]
fn others_do_not_see_it_and_nobody_forges_it() {
    let db = Db::fresh();
    let mut owner = db.session();
    logs(&mut owner, 30);
    owner.run("UPDATE logs SET body = 'poison' WHERE id = 3");
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    let role = operator(&db);
    db.session_as(&role).embed_all("'logs'").unwrap();

    let stranger = db.role("stranger");
    let mut session = db.session_as(&stranger);
    for view in ["runs", "rejects", "progress"] {
        assert_eq!(
            session.number(&format!("SELECT count(*) FROM embedding_backfill.{view}")),
            0
        );
    }
    // Who may read the table may know what was done to it.
    owner.run(&format!("GRANT SELECT ON logs TO {stranger}"));
    assert_eq!(
        session.number("SELECT count(*) FROM embedding_backfill.runs"),
        1
    );
    assert_eq!(
        session.number("SELECT count(*) FROM embedding_backfill.rejects"),
        1
    );
    for role in [&role, &stranger] {
        let mut session = db.session_as(role);
        for statement in [
            "SELECT FROM embedding_backfill.journal",
            "SELECT FROM embedding_backfill.rejected",
            "UPDATE embedding_backfill.journal SET embedded = 0",
            "DELETE FROM embedding_backfill.rejected",
            "INSERT INTO embedding_backfill.rejected VALUES ('logs', 'embedding', 'm', 'x', NULL, 'r')",
            "UPDATE embedding_backfill.runs SET reason = 'x'",
            "DELETE FROM embedding_backfill.rejects",
        ] {
            denied(
                session.batch_execute(statement),
                "42501",
                "permission denied for",
            );
        }
    }
}

#[test]
fn what_is_gone_does_not_break_it() {
    let db = Db::fresh();
    let mut owner = db.session();
    logs(&mut owner, 3);
    let role = operator(&db);
    db.session_as(&role).embed_all("'logs'").unwrap();
    owner.run(&format!(
        "DROP TABLE logs; DROP OWNED BY {role}; DROP ROLE {role}"
    ));
    assert_eq!(runs(&mut owner).len(), 1);
    owner
        .run("SELECT * FROM embedding_backfill.rejects; SELECT * FROM embedding_backfill.progress");
    // Its name tells which table it was.
    let stranger = db.role("stranger");
    assert_eq!(runs(&mut db.session_as(&stranger)).len(), 0);
    assert!(
        runs(&mut owner)[0]["relation_name"]
            .as_str()
            .unwrap()
            .ends_with("logs")
    );
}

/// All that the views show to this session.
fn shown(session: &mut Session) -> String {
    let views = ["runs", "rejects", "progress"];
    let queries = views.map(|view| {
        format!("(SELECT coalesce(string_agg(v::text, ''), '') FROM embedding_backfill.{view} v)")
    });
    session.text(&format!("SELECT {}", queries.join(" || ")))
}

// A key can be a name or an address, and who can guess a text can hold its md5 against it.
#[test]
fn the_journal_tells_no_more_of_a_row_than_the_table_does() {
    let db = Db::fresh();
    let mut owner = db.session();
    owner.run(
        "CREATE TABLE letters (sender text PRIMARY KEY, reader name, body text, embedding vector(128));
         INSERT INTO letters VALUES ('alice@example.com', 'nobody', 'poison', NULL), ('bob@example.com', 'nobody', 'hello', NULL)",
    );
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    owner.embed_all("'letters', content => 'body'").unwrap();
    let secrets = [
        "alice@example.com".to_owned(),
        owner.text("SELECT md5('poison')"),
    ];
    let all = shown(&mut owner);
    assert!(secrets.iter().all(|secret| all.contains(secret)), "{all}");

    let [clerk, reader, whole] = ["clerk", "reader", "whole"].map(|name| db.role(name));
    owner.run(&format!(
        "GRANT SELECT (reader, embedding), UPDATE (embedding) ON letters TO {clerk};
         GRANT SELECT ON letters TO {reader}, {whole}"
    ));
    let mut tried = 0;
    // One column is not another.
    let seen = shown(&mut db.session_as(&clerk));
    assert!(seen.contains("letters"), "{seen}");
    assert!(
        !secrets.iter().any(|secret| seen.contains(secret)),
        "{seen}"
    );
    tried += 1;
    // Who may read all may know all, until a policy hides rows from him.
    let mut session = db.session_as(&reader);
    assert!(
        secrets
            .iter()
            .all(|secret| shown(&mut session).contains(secret))
    );
    owner.run("ALTER TABLE letters ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON letters USING (reader = current_user)");
    let seen = shown(&mut session);
    assert!(seen.contains("letters"), "{seen}");
    assert!(
        !secrets.iter().any(|secret| seen.contains(secret)),
        "{seen}"
    );
    tried += 1;
    owner.run(&format!("ALTER ROLE {whole} BYPASSRLS"));
    let seen = shown(&mut db.session_as(&whole));
    assert!(secrets.iter().all(|secret| seen.contains(secret)), "{seen}");
    // It can be forgotten by who may write, seen or not.
    let mut clerk = db.session_as(&clerk);
    assert_eq!(clerk.number("SELECT embed_retry_rejected('letters')"), 1);
    Trial {
        chapter: "Privileges",
        fault: "the journal read by those who may read only some columns, or only some rows",
        times: tried,
        seen: "keys and md5s of others' rows are NULL",
        lost: 0,
        doubled: 0,
    }
    .note();
}
