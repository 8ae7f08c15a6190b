//! Who sees the journal: those who may know what was done to a table, and nobody else; and nobody writes it by hand.

use support::{Db, Finished, denied};

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
