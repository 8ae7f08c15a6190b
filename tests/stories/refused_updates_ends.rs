//! What a row that refuses its vector ends, undoes and leaves to be done: where it is no row's fault, when it is sent again, and
//! what stands in the row.

use support::{Db, Finished, Session, denied, refused};

use crate::{
    fixtures::{logs, right},
    refused_updates::{REFUSED, table, ten_stay_behind, trigger},
};

/// 3,000 rows, none of which takes its vector.
fn nothing_passes(session: &mut Session) {
    logs(session, 3000);
    session.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
         CREATE TRIGGER t BEFORE UPDATE ON logs FOR EACH ROW EXECUTE FUNCTION refuse();
         SET embedding_backfill.concurrency = 1",
    );
}

// It is paid for as long as it may be some rows' fault, and no longer.
#[test]
fn a_call_ends_where_nothing_passes() {
    let db = Db::fresh();
    let mut session = db.session();
    nothing_passes(&mut session);
    let told = format!("1000 rows of logs in a row did not take their vector: {REFUSED}no");
    refused(
        session.embed_all("'logs', 100"),
        "55000",
        &told,
        "SELECT embed_retry_rejected('logs')",
    );
    let paid = db.api.stats().texts;
    assert!((1000..=1200).contains(&paid), "{paid}");
    assert_eq!(
        session.text("SELECT state || ': ' || reason FROM embedding_backfill.runs"),
        format!("failed: 1000 rows in a row: {REFUSED}no")
    );
    // They are remembered.
    session.run("DROP TRIGGER t ON logs");
    assert_eq!(
        session.embed_all("'logs', 100").unwrap(),
        Finished::done(3000 - paid as i64, 0)
    );
}

// An error would take back what is remembered of them.
#[test]
fn embed_missing_ends_where_nothing_passes() {
    let db = Db::fresh();
    let mut session = db.session();
    nothing_passes(&mut session);
    for texts in [1000, 2000, 3000] {
        assert_eq!(session.embed("'logs', 100").unwrap(), 0);
        assert_eq!(db.api.stats().texts, texts);
        let warnings = session.notices();
        let told = "WARNING: 1000 rows of logs in a row did not take their vector: ";
        assert!(warnings.iter().any(|w| w.starts_with(told)), "{warnings:?}");
    }
    assert_eq!(session.embed("'logs', 100").unwrap(), 0);
    assert_eq!(db.api.stats().texts, 3000);
}

// What is wrong with the server, or was asked for, is no row's fault.
#[test]
fn other_errors_end_the_call_and_are_no_rows_fault() {
    for code in [
        "query_canceled",
        "disk_full",
        "internal_error",
        "undefined_table",
    ] {
        let db = Db::fresh();
        let mut session = db.session();
        table(
            &mut session,
            &trigger(
                "TRIGGER t BEFORE",
                "",
                &format!("RAISE 'not today' USING ERRCODE = '{code}'"),
            ),
        );
        assert!(session.embed_all("'logs', 20").is_err(), "{code}");
        assert!(session.embed("'logs', 20").is_err(), "{code}");
        assert_eq!(
            session.number("SELECT count(*) FROM embedding_backfill.rejects"),
            0
        );
    }
}

#[test]
fn what_a_refused_update_did_besides_is_undone() {
    let db = Db::fresh();
    let mut session = db.session();
    table(
        &mut session,
        &format!(
            "CREATE TABLE noted (id bigint); {}",
            trigger(
                "TRIGGER t BEFORE",
                "",
                "INSERT INTO noted VALUES (NEW.id); IF NEW.id = 50 THEN RAISE 'no'; END IF"
            )
        ),
    );
    session.embed_all("'logs', 20").unwrap();
    assert_eq!(
        session.text("SELECT string_agg(id::text, ' ' ORDER BY id) FROM noted"),
        "10 20 30 40 60 70 80 90 100"
    );
}

#[test]
fn refused_rows_are_sent_again_when_asked_or_changed() {
    let db = Db::fresh();
    let mut session = db.session();
    table(
        &mut session,
        "ALTER TABLE logs ADD CONSTRAINT no_tens CHECK (id % 10 <> 0 OR embedding IS NULL) NOT VALID",
    );
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(90, 0));
    let warnings = session.notices();
    let warned = |words: &str| warnings.iter().filter(|w| w.contains(words)).count();
    assert_eq!(
        warned("WARNING: a row is rejected: a trigger or a constraint"),
        5
    );
    session.run(
        "ALTER TABLE logs DROP CONSTRAINT no_tens; UPDATE logs SET body = 'new' WHERE id = 10",
    );
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(1, 0));
    session
        .query("SELECT embed_retry_rejected('logs')", &[])
        .unwrap();
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(9, 0));
    assert_eq!(right(&mut session, "logs"), 100);
}

// Content and vector never disagree, even where the vector can't be taken back.
#[test]
fn a_trigger_that_changes_the_content_and_holds_on_to_the_vector() {
    for body in [
        "IF NEW.embedding IS NULL THEN RETURN NULL; END IF; NEW.body := NEW.body || '!'",
        "NEW.embedding := coalesce(NEW.embedding, OLD.embedding); NEW.body := NEW.body || '!'",
    ] {
        ten_stay_behind(
            &trigger("TRIGGER t BEFORE", "", body),
            "a trigger changes the content and keeps the vector of what it was",
        );
    }
}

#[test]
fn a_trigger_that_changes_the_content_and_brings_the_vector_back() {
    ten_stay_behind(
        &format!(
            "CREATE FUNCTION back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.embedding IS NULL AND OLD.embedding IS NOT NULL THEN
                     UPDATE logs SET embedding = OLD.embedding WHERE id = NEW.id;
                 END IF; RETURN NULL; END $$;
             CREATE TRIGGER back AFTER UPDATE ON logs FOR EACH ROW EXECUTE FUNCTION back(); {}",
            trigger("TRIGGER t BEFORE", "", "NEW.body := NEW.body || '!'")
        ),
        "a trigger changes the content and keeps the vector of what it was",
    );
}

// It could be sent, and the vectors not be written then.
#[test]
fn a_rule_instead_of_the_update() {
    for call in [
        "SELECT embed_missing('logs')",
        "CALL embed_all_missing('logs')",
    ] {
        let db = Db::fresh();
        let mut session = db.session();
        table(
            &mut session,
            "CREATE RULE never AS ON UPDATE TO logs DO INSTEAD NOTHING",
        );
        denied(session.query(call, &[]), "0A000", "RETURNING");
        assert_eq!(db.api.stats().requests, 0);
    }
}
