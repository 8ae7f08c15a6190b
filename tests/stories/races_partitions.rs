//! Rows that go to another partition just as they are locked, for which Postgres has an error: no call ends for that.

use std::thread;

use support::{Db, Finished, Session, denied, wait_until};

use crate::fixtures::{Gate, right};

/// Twenty rows in two partitions. Who locks one of them looks at the policy between his statement's snapshot and the lock, and waits
/// there while number 7 is held.
fn partitions(db: &Db) -> (Session, String) {
    let mut session = db.session();
    let role = db.role("operator");
    session.run(&format!(
        "CREATE TABLE logs (id bigint, body text, embedding vector(128)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF logs FOR VALUES FROM (0) TO (100);
         CREATE TABLE high PARTITION OF logs FOR VALUES FROM (100) TO (200);
         INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(0, 19) i;
         CREATE FUNCTION looked_at(bigint) RETURNS boolean LANGUAGE plpgsql AS
         'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN true; END';
         ALTER TABLE logs ENABLE ROW LEVEL SECURITY;
         ALTER TABLE low ENABLE ROW LEVEL SECURITY;
         CREATE POLICY see ON logs FOR SELECT USING (true);
         CREATE POLICY see ON low FOR SELECT USING (true);
         CREATE POLICY change ON logs FOR UPDATE USING (looked_at(id));
         CREATE POLICY change ON low FOR UPDATE USING (looked_at(id));
         GRANT ALL ON logs, low TO {role};
         GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role}"
    ));
    (session, role)
}

/// Moves a row to the other partition when somebody waits at the policy, and lets him go on.
fn move_one(session: &mut Session, holder: &mut Session) {
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    wait_until("the policy waits", || session.number(waits) == 1);
    holder.run("UPDATE logs SET id = 150 WHERE id = 3; SELECT pg_advisory_unlock(7)");
}

const HOLD: &str = "SELECT pg_advisory_lock(7)";

// Postgres has an error for it (40001) where it comes between a statement's snapshot and its lock. Would pass wrongly if it came
// before or after that: the policy is looked at in between.
#[test]
fn a_row_that_moves_to_another_partition_under_the_hand_that_writes_its_vector() {
    for (relation, rows) in [("logs", 20), ("low", 19)] {
        println!("{relation}");
        let db = Db::fresh();
        let (mut session, role) = partitions(&db);
        let mut other = db.session();
        let gate = Gate::after(&db, 0);
        thread::scope(|scope| {
            let call = scope.spawn(|| {
                let mut caller = db.session();
                caller.run(&format!("SET ROLE {role}"));
                caller.embed_all(&format!("'{relation}'")).unwrap()
            });
            wait_until("the request is under way", || db.api.stats().in_flight > 0);
            other.run(HOLD);
            gate.open();
            move_one(&mut session, &mut other);
            assert_eq!(call.join().unwrap(), Finished::done(rows, 0));
        });
        assert_eq!(right(&mut session, "logs"), rows as usize);
    }
}

// Would pass wrongly as above.
#[test]
fn a_row_that_moves_to_another_partition_under_the_hand_that_reads_it() {
    for (relation, rows) in [("logs", 20), ("low", 19)] {
        println!("{relation}");
        let db = Db::fresh();
        let (mut session, role) = partitions(&db);
        let mut other = db.session();
        other.run(HOLD);
        thread::scope(|scope| {
            let call = scope.spawn(|| {
                let mut caller = db.session();
                caller.run(&format!("SET ROLE {role}"));
                caller.embed_all(&format!("'{relation}'")).unwrap()
            });
            move_one(&mut session, &mut other);
            assert_eq!(call.join().unwrap(), Finished::done(rows, 0));
        });
        assert_eq!(right(&mut session, "logs"), rows as usize);
        assert_eq!(db.api.stats().texts, rows as u64);
    }
}

#[test]
fn a_row_that_moves_to_another_partition_under_the_hand_of_embed_missing() {
    for relation in ["logs", "low"] {
        println!("{relation}");
        let db = Db::fresh();
        let (mut session, role) = partitions(&db);
        let mut other = db.session();
        other.run(HOLD);
        let mut caller = db.session();
        caller.run(&format!("SET ROLE {role}"));
        let embed = format!("'{relation}'");
        thread::scope(|scope| {
            let call = scope.spawn(|| caller.embed(&embed).unwrap());
            move_one(&mut session, &mut other);
            assert_eq!(call.join().unwrap(), 19);
        });
        assert_eq!(right(&mut session, "logs"), 19);
        assert_eq!(caller.embed("'logs'").unwrap(), 1);
    }
}

// A transaction that sees no news can't go on, and says so.
#[test]
fn a_row_that_moves_while_embed_missing_sees_no_news() {
    let db = Db::fresh();
    let (mut session, role) = partitions(&db);
    let mut caller = db.session();
    caller.run(&format!(
        "SET ROLE {role}; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM logs"
    ));
    session.run("UPDATE logs SET id = 150 WHERE id = 3");
    denied(caller.embed("'logs'"), "40001", "concurrent update");
    assert_eq!(db.api.stats().requests, 0);
}
