//! Rows that never come to have their vector, whatever the table does to them: each is paid for once, remembered with the reason, and
//! in nobody's way.

use support::{Db, Finished, Session};

use crate::fixtures::{filled, logs, right};

/// 100 rows, each tenth of which is treated like this as it is updated.
pub fn table(session: &mut Session, treatment: &str) {
    logs(session, 100);
    session.run("SET statement_timeout = '20s'");
    session.run(treatment);
}

/// A trigger function, and its trigger, for each tenth row.
pub fn trigger(kind: &str, when: &str, body: &str) -> String {
    format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NEW; END $$;
         CREATE {kind} UPDATE ON logs {when} FOR EACH ROW WHEN (NEW.id % 10 = 0) EXECUTE FUNCTION refuse()"
    )
}

/// Both calls leave the ten rows alone, fill the others, and pay for each row once, however often they are called.
pub fn ten_stay_behind(treatment: &str, reason: &str) {
    by_a_call(treatment, reason);
    println!("embed_missing");
    let db = Db::fresh();
    let mut session = db.session();
    table(&mut session, treatment);
    let mut embedded = 0;
    for rows in (0..20).map_while(|_| match session.embed("'logs', 25").unwrap() {
        0 => None,
        rows => Some(rows),
    }) {
        embedded += rows;
    }
    assert_eq!(embedded, 90);
    stayed_behind(&db, &mut session, reason);
}

fn by_a_call(treatment: &str, reason: &str) {
    println!("{treatment}");
    let db = Db::fresh();
    let mut session = db.session();
    table(&mut session, treatment);
    for embedded in [90, 0] {
        assert_eq!(
            session.embed_all("'logs', 20").unwrap(),
            Finished::done(embedded, 0)
        );
    }
    stayed_behind(&db, &mut session, reason);
}

fn stayed_behind(db: &Db, session: &mut Session, reason: &str) {
    assert_eq!(right(session, "logs"), 90);
    assert_eq!(db.api.stats().texts, 100);
    let reasons = session.text(
        "SELECT string_agg(DISTINCT reason, '; ') || ': ' || count(*) FROM embedding_backfill.rejects
         WHERE (key ->> 'id')::int % 10 = 0",
    );
    assert_eq!(reasons, format!("{reason}: 10"));
}

const CLEARED: &str = "a trigger takes the vector away at each update";

#[test]
fn a_trigger_that_clears_the_vector_before_the_update() {
    ten_stay_behind(
        &trigger("TRIGGER t BEFORE", "", "NEW.embedding := NULL"),
        CLEARED,
    );
}

const CLEAR: &str = "UPDATE logs SET embedding = NULL WHERE id = NEW.id AND embedding IS NOT NULL";

#[test]
fn a_trigger_that_clears_the_vector_after_the_update() {
    ten_stay_behind(&trigger("TRIGGER t AFTER", "", CLEAR), CLEARED);
}

#[test]
fn a_trigger_that_clears_the_vectors_of_a_whole_statement() {
    ten_stay_behind(
        "CREATE FUNCTION clear() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN UPDATE logs SET embedding = NULL WHERE id % 10 = 0 AND embedding IS NOT NULL; RETURN NULL; END $$;
         CREATE TRIGGER t AFTER UPDATE ON logs WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION clear()",
        CLEARED,
    );
}

// In a CALL's own transactions there is nothing that it could be deferred for.
#[test]
fn a_deferred_trigger_that_clears_the_vector() {
    by_a_call(
        &trigger(
            "CONSTRAINT TRIGGER \"a trigger\" AFTER",
            "DEFERRABLE INITIALLY DEFERRED",
            CLEAR,
        ),
        CLEARED,
    );
}

// A row that a trigger moves within the table is followed.
#[test]
fn a_trigger_that_touches_its_row_after_the_update() {
    let db = Db::fresh();
    let mut session = db.session();
    table(
        &mut session,
        &format!(
            "ALTER TABLE logs ADD seen int NOT NULL DEFAULT 0; {}",
            trigger(
                "TRIGGER t AFTER",
                "",
                "UPDATE logs SET seen = seen + 1 WHERE id = NEW.id AND seen < 2"
            )
        ),
    );
    assert_eq!(
        session.embed_all("'logs', 20").unwrap(),
        Finished::done(100, 0)
    );
    assert_eq!(session.number("SELECT sum(seen) FROM logs"), 20);
    assert_eq!(right(&mut session, "logs"), 100);
    assert_eq!(db.api.stats().texts, 100);
}

#[test]
fn a_trigger_that_deletes_its_row_after_the_update() {
    let db = Db::fresh();
    let mut session = db.session();
    table(
        &mut session,
        &trigger("TRIGGER t AFTER", "", "DELETE FROM logs WHERE id = NEW.id"),
    );
    session.embed_all("'logs', 20").unwrap();
    assert_eq!(filled(&mut session, "logs"), 90);
    assert_eq!(db.api.stats().texts, 100);
}

pub const REFUSED: &str = "a trigger or a constraint refused the update: ";

#[test]
fn rows_that_violate_a_constraint_from_before_it() {
    ten_stay_behind(
        "ALTER TABLE logs ADD CONSTRAINT no_tens CHECK (id % 10 <> 0) NOT VALID",
        &format!("{REFUSED}new row for relation \"logs\" violates check constraint \"no_tens\""),
    );
}

#[test]
fn a_trigger_that_raises_an_error() {
    for kind in ["BEFORE", "AFTER"] {
        ten_stay_behind(
            &trigger(
                &format!("TRIGGER t {kind}"),
                "",
                "RAISE '%', E'the period\\nis   closed'",
            ),
            &format!("{REFUSED}the period is closed"),
        );
    }
}

#[test]
fn a_deferred_trigger_that_raises_an_error() {
    by_a_call(
        &trigger(
            "CONSTRAINT TRIGGER t AFTER",
            "DEFERRABLE INITIALLY DEFERRED",
            "RAISE 'closed'",
        ),
        &format!("{REFUSED}closed"),
    );
}

#[test]
fn a_trigger_that_fails_on_some_rows() {
    ten_stay_behind(
        &trigger("TRIGGER t BEFORE", "", "NEW.id := NEW.id / (NEW.id % 10)"),
        &format!("{REFUSED}division by zero"),
    );
}

#[test]
fn a_trigger_that_updates_its_own_row_before_the_update() {
    ten_stay_behind(
        &trigger(
            "TRIGGER t BEFORE",
            "",
            "IF OLD.embedding IS NULL AND NEW.embedding IS NOT NULL THEN
                 UPDATE logs SET body = body WHERE id = NEW.id; END IF",
        ),
        &format!(
            "{REFUSED}tuple to be updated was already modified by an operation triggered by the current command"
        ),
    );
}

#[test]
fn a_long_reason_is_cut() {
    let db = Db::fresh();
    let mut session = db.session();
    table(
        &mut session,
        &trigger("TRIGGER t BEFORE", "", "RAISE '%', repeat('é', 10000)"),
    );
    session.embed_all("'logs'").unwrap();
    assert_eq!(
        session.number("SELECT max(length(reason))::bigint FROM embedding_backfill.rejects"),
        REFUSED.len() as i64 + 200
    );
}

#[test]
fn a_policy_that_shows_rows_and_refuses_what_becomes_of_them() {
    let db = Db::fresh();
    let mut owner = db.session();
    let role = db.role("operator");
    logs(&mut owner, 100);
    owner.run(&format!(
        "ALTER TABLE logs ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON logs TO {role} USING (true) WITH CHECK (id % 10 <> 0);
         GRANT SELECT, UPDATE ON logs TO {role};
         GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role}"
    ));
    let mut session = db.session_as(&role);
    for embedded in [90, 0] {
        assert_eq!(
            session.embed_all("'logs', 20").unwrap(),
            Finished::done(embedded, 0)
        );
    }
    stayed_behind(
        &db,
        &mut owner,
        &format!("{REFUSED}new row violates row-level security policy for table \"logs\""),
    );
}
