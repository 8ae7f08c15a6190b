//! A partition's rows are its parent's: whoever fills the one has the other in view, so that no row is paid for twice. Two
//! partitions are filled side by side.

use std::thread;

use support::{Db, Finished, wait_until};

use crate::{
    fixtures::{Gate, right},
    one_runner::advisory_locks,
};

/// `logs`, `low` and `rest` below it, and `high` below `rest`, whose columns stand in another order; 50 rows in each leaf.
const PARTITIONS: &str =
    "CREATE TABLE logs (id bigint, body text, embedding vector(128)) PARTITION BY RANGE (id);
     CREATE TABLE low PARTITION OF logs FOR VALUES FROM (0) TO (50);
     CREATE TABLE rest PARTITION OF logs DEFAULT PARTITION BY RANGE (id);
     CREATE TABLE high (embedding vector(128), gone int, body text, id bigint);
     ALTER TABLE high DROP COLUMN gone; ALTER TABLE rest ATTACH PARTITION high DEFAULT;
     INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(0, 99) i";

/// The same by inheritance.
const CHILDREN: &str = "CREATE TABLE logs (id bigint, body text, embedding vector(128));
     CREATE TABLE low (extra text) INHERITS (logs);
     CREATE TABLE rest () INHERITS (logs);
     CREATE TABLE high (before text, body text) INHERITS (rest);
     INSERT INTO low SELECT i, 'entry ' || i FROM generate_series(0, 49) i;
     INSERT INTO high SELECT i, 'entry ' || i FROM generate_series(50, 99) i";

/// Tries both calls on a table, in a transaction that ends after that; true where somebody else has it.
fn taken(db: &Db, table: &str, holder: i64) -> bool {
    let mut session = db.session();
    session.run("BEGIN");
    let embedded = session.embed(&format!("'{table}', 1, 'body'")).unwrap();
    let filled = format!("{table}.embedding is being filled by process {holder} of postgres");
    let told = session.notices().iter().any(|it| it.contains(&filled));
    assert_eq!(told, embedded == 0);
    let own =
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
    assert_eq!(session.number(own) == 0, told);
    session.run("ROLLBACK");
    let call = format!("CALL embed_all_missing('{table}', content => 'body', max_rows => 1)");
    let row = session.query_one(&call, &[]).unwrap();
    let told_again = session.notices().iter().any(|it| it.contains(&filled));
    let stopped: String = row.get("stopped_because");
    let expected = if told { "already_running" } else { "max_rows" };
    assert_eq!((&*stopped, told_again), (expected, told));
    told
}

#[test]
fn a_part_and_the_whole_are_one_and_two_parts_are_two() {
    let db = Db::fresh();
    let mut session = db.session();
    for tables in [PARTITIONS, CHILDREN] {
        for (at_work, others) in [
            ("logs", [("low", true), ("rest", true), ("high", true)]),
            ("low", [("logs", true), ("rest", false), ("high", false)]),
            ("rest", [("logs", true), ("low", false), ("high", true)]),
            ("high", [("logs", true), ("rest", true), ("low", false)]),
        ] {
            println!("{at_work}");
            let mut first = db.session();
            session.run(&format!("DROP TABLE IF EXISTS logs CASCADE; {tables}"));
            let gate = Gate::for_the_first(&db);
            let pid = first.number("SELECT pg_backend_pid()::bigint");
            let call = format!("'{at_work}', content => 'body', source_filter => 'id % 50 = 0'");
            thread::scope(|scope| {
                let call = scope.spawn(move || first.embed_all(&call).unwrap());
                wait_until("the first is at work", || db.api.stats().in_flight > 0);
                let running = "SELECT count(*) FROM embedding_backfill.progress";
                assert_eq!(session.number(running), 1);
                for (table, is_taken) in others {
                    assert_eq!(taken(&db, table, pid), is_taken, "{table}");
                }
                gate.open();
                let rows = if at_work == "logs" { 2 } else { 1 };
                assert_eq!(call.join().unwrap(), Finished::done(rows, 0));
            });
            assert_eq!(advisory_locks(&mut session), 0);
            right(&mut session, "logs");
        }
    }
}

// Would pass wrongly if the CALL ended before the other transaction did, or waited for nobody: it is seen waiting.
#[test]
fn a_call_waits_for_an_embed_missing_of_a_part_or_of_the_whole() {
    for (embedding, calling, rows) in [("low", "logs", 99), ("logs", "high", 50)] {
        println!("{embedding}");
        let db = Db::fresh();
        let (mut session, mut other) = (db.session(), db.session());
        session.run(PARTITIONS);
        other.run("BEGIN");
        let embed = format!("'{embedding}', 1, 'body', source_filter => 'id = 0'");
        assert_eq!(other.embed(&embed).unwrap(), 1);
        // Neither is in the way of the third.
        let sibling = "'low', 1, 'body', source_filter => 'id = 1'";
        assert_eq!(db.session().embed(sibling).unwrap(), 1);
        thread::scope(|scope| {
            let db = &db;
            let call = scope.spawn(move || {
                let mut caller = db.session();
                let finished = caller.embed_all(&format!("'{calling}', content => 'body'"));
                (finished.unwrap(), caller.notices())
            });
            let waits = "SELECT count(*) FROM pg_stat_activity
                         WHERE datname = current_database() AND query LIKE 'CALL %'
                           AND concat_ws(' ', wait_event_type, wait_event) LIKE 'Extension%'";
            wait_until("the CALL waits", || session.number(waits) == 1);
            assert_eq!(db.api.stats().texts, 2);
            other.run("COMMIT");
            let (finished, told) = call.join().unwrap();
            assert_eq!(
                finished,
                Finished::done(rows - i64::from(calling == "logs"), 0)
            );
            assert!(
                told.iter().any(|it| it.contains("waiting for process")),
                "{told:?}"
            );
        });
        assert_eq!(advisory_locks(&mut session), 0);
        right(&mut session, "logs");
    }
}
