//! Partitions come and go, and change their names with other tables, while a `CALL` waits for the API: it fills those that are
//! the table's, and no other.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use support::{Db, Finished, Session};

use crate::{
    ddl::each_tenth_request_waits,
    fixtures::{filled, right},
};

/// `logs` by ranges of 100 ids: `low`, `high`, and `far`, a table that could become its third partition; 100 pending rows each.
fn partitioned(session: &mut Session) {
    session.run(
        "CREATE TABLE logs (id bigint, body text, embedding vector(128)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF logs FOR VALUES FROM (0) TO (100);
         CREATE TABLE high PARTITION OF logs FOR VALUES FROM (100) TO (200);
         CREATE TABLE far (LIKE logs);
         INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(0, 199) i;
         INSERT INTO far SELECT i, 'entry ' || i FROM generate_series(200, 299) i",
    );
}

/// A CALL on it, and what another session does while its third request is being answered.
fn partitions_change(
    change: &'static str,
) -> (Db<'static>, Session, Result<Finished, postgres::Error>) {
    let db = Db::fresh();
    db.set("concurrency", "1");
    let mut session = db.session();
    partitioned(&mut session);
    let result = changed_at_the_third_request(&db, change);
    (db, session, result)
}

fn changed_at_the_third_request(
    db: &Db,
    change: &'static str,
) -> Result<Finished, postgres::Error> {
    let (other, seen) = (Mutex::new(db.session()), AtomicU64::new(0));
    db.api.set(|config| {
        config.script = Some(Arc::new(move |_| {
            if seen.fetch_add(1, Relaxed) == 2 {
                other.lock().expect("no change panics").run(change);
            }
            None
        }));
    });
    let result = db.session().embed_all("'logs', 10");
    assert!(db.api.stats().requests >= 3, "{result:?}");
    result
}

#[test]
fn a_partition_that_is_attached_meanwhile_is_embedded_too() {
    let (_db, mut session, result) =
        partitions_change("ALTER TABLE logs ATTACH PARTITION far FOR VALUES FROM (200) TO (300)");
    assert_eq!(result.unwrap(), Finished::done(300, 0));
    assert_eq!(right(&mut session, "logs"), 300);
}

// Concurrently means: after all transactions that could still use it. A CALL that kept one open would wait for itself here.
#[test]
fn a_partition_that_is_detached_meanwhile_is_not_missed() {
    for detach in [
        "ALTER TABLE logs DETACH PARTITION high",
        "ALTER TABLE logs DETACH PARTITION high CONCURRENTLY",
        "ALTER TABLE logs DETACH PARTITION low",
    ] {
        println!("{detach}");
        let (_db, mut session, result) = partitions_change(detach);
        let finished = result.unwrap();
        assert_eq!(
            (finished.remaining, &*finished.stopped_because),
            (0, "done")
        );
        assert_eq!(right(&mut session, "logs"), 100);
        let gone = detach.split(' ').nth(5).expect("a name");
        println!("{finished:?}, {} rows of {gone}", right(&mut session, gone));
    }
}

#[test]
fn a_partition_that_is_dropped_meanwhile() {
    for drop in ["DROP TABLE high", "DROP TABLE low"] {
        println!("{drop}");
        let (_db, mut session, result) = partitions_change(drop);
        let finished = result.unwrap();
        assert_eq!(
            (finished.remaining, &*finished.stopped_because),
            (0, "done")
        );
        assert_eq!(right(&mut session, "logs"), 100);
    }
}

// The first of the two is being read when it goes, the second is still to come.
#[test]
fn a_partition_that_takes_another_name_is_filled_under_it() {
    for name in ["high", "low"] {
        println!("{name}");
        let rename = format!(
            "ALTER TABLE {name} RENAME TO renamed;
             CREATE TABLE {name} (LIKE logs); INSERT INTO {name} SELECT * FROM renamed"
        );
        let (db, mut session, result) = partitions_change(rename.leak());
        assert_eq!(result.unwrap(), Finished::done(200, 0));
        assert_eq!(right(&mut session, "logs"), 200);
        assert!(filled(&mut session, name) <= 20);
        assert_eq!(db.api.stats().texts, 200);
    }
}

// Would pass wrongly if the namesake's rows were others: places and contents are those of the partition, so that nothing but
// the name tells them apart.
#[test]
fn a_table_that_takes_the_name_of_a_partition_is_left_alone() {
    for name in ["high", "low"] {
        println!("{name}");
        let replace = format!(
            "ALTER TABLE logs DETACH PARTITION {name}; ALTER TABLE {name} RENAME TO old;
             CREATE TABLE {name} (LIKE logs); INSERT INTO {name} SELECT id, body FROM old"
        );
        let (db, mut session, result) = partitions_change(replace.leak());
        let finished = result.unwrap();
        assert_eq!(
            (finished.remaining, &*finished.stopped_because),
            (0, "done")
        );
        assert_eq!(filled(&mut session, name), 0);
        assert_eq!(right(&mut session, "logs"), 100);
        right(&mut session, "old");
        // What was under way, and ready to be.
        let most = if name == "high" { 140 } else { 100 };
        assert!(db.api.stats().texts <= most, "{:?}", db.api.stats());
    }
}

// As above, for a table that inherits: there is no constraint that says whose rows they are.
#[test]
fn a_child_that_is_no_child_any_more_is_left_alone() {
    let db = Db::fresh();
    db.set("concurrency", "1");
    let mut session = db.session();
    session.run(
        "CREATE TABLE logs (id bigint, body text, embedding vector(128));
         CREATE TABLE high () INHERITS (logs); CREATE TABLE low () INHERITS (logs);
         INSERT INTO high SELECT i, 'entry ' || i FROM generate_series(1, 100) i;
         INSERT INTO low SELECT i, 'other ' || i FROM generate_series(1, 100) i",
    );
    let result = changed_at_the_third_request(&db, "ALTER TABLE low NO INHERIT logs");
    assert_eq!(result.unwrap(), Finished::done(100, 0));
    assert_eq!(right(&mut session, "logs"), 100);
    assert_eq!(filled(&mut session, "low"), 0);
}

// Would pass wrongly if the partition stayed where it is: each tenth request waits for the next time.
#[test]
fn a_partition_that_comes_and_goes_all_the_time() {
    let db = Db::fresh();
    let mut session = db.session();
    partitioned(&mut session);
    session.run("INSERT INTO logs SELECT i, 'more ' || i FROM generate_series(0, 199) i, generate_series(1, 9)");
    let (moving, moved) = (AtomicBool::new(true), Arc::new(AtomicU64::new(0)));
    each_tenth_request_waits(&db, &moved, 3);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut other = db.session();
            while moving.load(Relaxed) {
                other.run("ALTER TABLE logs ATTACH PARTITION far FOR VALUES FROM (200) TO (300)");
                other.run("ALTER TABLE logs DETACH PARTITION far");
                moved.fetch_add(1, Relaxed);
            }
        });
        let finished = db.session().embed_all("'logs', 20");
        moving.store(false, Relaxed);
        assert_eq!(finished.unwrap().stopped_because, "done");
    });
    println!("{} times", moved.load(Relaxed));
    assert!(moved.load(Relaxed) >= 3);
    assert_eq!(right(&mut session, "logs"), 2000);
    right(&mut session, "far");
}
