//! Rows that can never be embedded: a run ends all the same, and pays for none of them twice.

use support::{Db, Finished, Session, refused};

use crate::fixtures::{filled, logs, right};

fn veto_every_tenth(session: &mut Session) {
    session.run(
        "CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER veto BEFORE UPDATE ON logs FOR EACH ROW WHEN (OLD.id % 10 = 0) EXECUTE FUNCTION veto()",
    );
}

#[test]
fn blank_rows() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    session
        .run("UPDATE logs SET body = (ARRAY[NULL, '', '   '])[id / 10 % 3 + 1] WHERE id % 10 = 0");
    assert_eq!(
        session.embed_all("'logs', 20").unwrap(),
        Finished::done(90, 0)
    );
    let notices = session.notices();
    assert!(
        notices
            .iter()
            .any(|notice| notice.contains("10") && notice.contains("blank")),
        "{notices:?}"
    );
    assert_eq!(
        session.embed_all("'logs', 20").unwrap(),
        Finished::done(0, 0)
    );
    assert_eq!(db.api.stats().texts, 90);
}

#[test]
fn rows_whose_update_a_trigger_vetoes() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    veto_every_tenth(&mut session);
    assert_eq!(
        session.embed_all("'logs', 20").unwrap(),
        Finished::done(90, 0)
    );
    let kept = "SELECT count(*) FROM embedding_backfill.rejects
                WHERE (key ->> 'id')::int % 10 = 0 AND reason LIKE '%trigger or a policy refused the update'";
    assert_eq!(session.number(kept), 10);
    // They are not paid for again.
    assert_eq!(
        session.embed_all("'logs', 20").unwrap(),
        Finished::done(0, 0)
    );
    assert_eq!(db.api.stats().texts, 100);
    assert_eq!(right(&mut session, "logs"), 90);
}

#[test]
fn one_batch_of_vetoed_rows_counts_none() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 20);
    veto_every_tenth(&mut session);
    assert_eq!(session.embed("'logs', 20").unwrap(), 18);
    assert_eq!(session.embed("'logs', 20").unwrap(), 0);
    assert_eq!(filled(&mut session, "logs"), 18);
}

// 0 means that nothing is left that can be embedded: rows that refuse their vector may not hide those behind them.
#[test]
fn vetoed_rows_do_not_stand_in_the_way_of_a_batch() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    session.run(
        "CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER veto BEFORE UPDATE ON logs FOR EACH ROW WHEN (OLD.id <= 50) EXECUTE FUNCTION veto()",
    );
    let mut calls = 0;
    while session.embed("'logs', 50").unwrap() > 0 {
        calls += 1;
        assert!(calls < 10);
    }
    assert_eq!(filled(&mut session, "logs"), 50);
}

#[test]
fn rows_that_a_trigger_touches_as_they_are_filled() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 10);
    session.run(
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen := now(); RETURN NEW; END $$;
         ALTER TABLE logs ADD COLUMN seen timestamptz;
         CREATE TRIGGER touch BEFORE UPDATE ON logs FOR EACH ROW EXECUTE FUNCTION touch()",
    );
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(10, 0));
    assert_eq!(session.number("SELECT count(seen) FROM logs"), 10);
    assert_eq!(right(&mut session, "logs"), 10);
}

#[test]
fn rows_that_row_security_hides() {
    let db = Db::fresh();
    let mut owner = db.session();
    let role = db.role("operator");
    logs(&mut owner, 100);
    owner.run(&format!(
        "ALTER TABLE logs ENABLE ROW LEVEL SECURITY;
         CREATE POLICY mine ON logs TO {role} USING (id > 40);
         GRANT SELECT, UPDATE ON logs TO {role};
         GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role}"
    ));
    assert_eq!(
        db.session_as(&role).embed_all("'logs', 20").unwrap(),
        Finished::done(60, 0)
    );
    assert_eq!(
        owner.number("SELECT count(embedding) FROM logs WHERE id > 40"),
        60
    );
    assert_eq!(filled(&mut owner, "logs"), 60);
}

// The policies of a partitioned table are its own; its partitions have none.
#[test]
fn rows_that_row_security_hides_in_partitions() {
    let db = Db::fresh();
    let mut owner = db.session();
    let role = db.role("operator");
    owner.run(&format!(
        "CREATE TABLE logs (id bigint, body text, embedding vector(128)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF logs FOR VALUES FROM (0) TO (51);
         CREATE TABLE high PARTITION OF logs DEFAULT;
         INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(1, 100) i;
         ALTER TABLE logs ENABLE ROW LEVEL SECURITY;
         CREATE POLICY mine ON logs TO {role} USING (id > 40);
         GRANT SELECT, UPDATE ON logs, low, high TO {role};
         GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role}"
    ));
    let mut session = db.session_as(&role);
    assert_eq!(session.embed("'logs', 20").unwrap(), 20);
    assert_eq!(
        session.embed_all("'logs', 20").unwrap(),
        Finished::done(40, 0)
    );
    assert_eq!(
        owner.number("SELECT count(embedding) FROM logs WHERE id > 40"),
        60
    );
    assert_eq!(right(&mut owner, "logs"), 60);
    assert_eq!(db.api.stats().texts, 60);
}

#[test]
fn rows_that_row_security_shows_and_does_not_let_change() {
    let db = Db::fresh();
    let mut owner = db.session();
    let role = db.role("operator");
    logs(&mut owner, 100);
    owner.run(&format!(
        "ALTER TABLE logs ENABLE ROW LEVEL SECURITY;
         CREATE POLICY see ON logs FOR SELECT TO {role} USING (true);
         CREATE POLICY change ON logs FOR UPDATE TO {role} USING (id > 40);
         GRANT SELECT, UPDATE ON logs TO {role};
         GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role}"
    ));
    let finished = db.session_as(&role).embed_all("'logs', 20").unwrap();
    assert_eq!(
        (finished.embedded, finished.stopped_because.as_str()),
        (60, "done")
    );
    assert_eq!(
        owner.number("SELECT count(embedding) FROM logs WHERE id > 40"),
        60
    );
    assert!(db.api.stats().texts <= 100);
}

// Would go on for three passes, and pay for all of them, if nobody noticed.
#[test]
fn contents_that_are_others_at_each_look() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 20);
    for content in ["body || now()", "random()::text", "clock_timestamp()::text"] {
        let result = session.embed_all(&format!("'logs', content => '{content}'"));
        refused(
            result,
            "22023",
            "nobody had changed the table",
            "content => ",
        );
    }
    assert_eq!(db.api.stats().requests, 0, "nothing is paid for");
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(20, 0));
}
