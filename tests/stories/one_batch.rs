//! `SELECT embed_missing(…)`: one batch, in the caller's transaction.

use std::{
    fs,
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use google_standin::{Config, Reply};
use support::{Db, Space, prompt, refused};

use crate::fixtures::{always, at_both, filled, logs, right};

#[test]
fn the_487_memory_logs_take_ten_requests() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE memory_logs (id bigserial PRIMARY KEY, task text, agent text, date date, raw_data jsonb,
                                   user_id integer, project_id integer, embedding vector(768))",
    );
    let entries = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../demo/data/memory_logs.jsonl"
    ))
    .unwrap();
    let entries: Vec<&str> = entries.lines().collect();
    let insert = "INSERT INTO memory_logs (task, agent, date, raw_data)
                  SELECT e ->> 'task', e ->> 'agent', (e ->> 'date')::date, e -> 'raw_data'
                  FROM unnest($1::text[]::jsonb[]) e";
    assert_eq!(session.execute(insert, &[&entries]).unwrap(), 487);

    for _ in 0..9 {
        assert_eq!(session.embed("'memory_logs', 50").unwrap(), 50);
    }
    assert_eq!(session.embed("'memory_logs', 50").unwrap(), 37);
    assert_eq!(session.embed("'memory_logs', 50").unwrap(), 0);

    let stats = db.api.stats();
    assert_eq!((stats.requests, stats.texts), (10, 487));
    let content = r"concat_ws(E'\n', 'task: ' || nullif(task, ''), 'agent: ' || nullif(agent, ''), 'raw_data: ' || raw_data::text)";
    assert_eq!(
        Space::GEMINI_2.holds(&mut session, "memory_logs", content, "embedding"),
        487
    );
}

fn a_batch_is_50_rows_unless_told(db: &Db) {
    let mut session = db.session();
    logs(&mut session, 60);
    assert_eq!(session.embed("'logs'").unwrap(), 50);
    assert_eq!(session.embed("'logs'").unwrap(), 10);
    assert_eq!(db.api.stats().requests, 2);
}

// Would pass wrongly if the callers never overlapped: that two requests were in flight at once proves that they did.
#[test]
fn two_callers_never_embed_the_same_row() {
    let db = Db::with(Config {
        latency: Duration::from_millis(100),
        ..Config::default()
    });
    logs(&mut db.session(), 300);
    let embedded: i64 = thread::scope(|scope| {
        let callers = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut session = db.session();
                let mut embedded = 0;
                loop {
                    match session.embed("'logs', 25").unwrap() {
                        0 => return embedded,
                        rows => embedded += rows,
                    }
                }
            })
        });
        callers.map(|caller| caller.join().unwrap()).iter().sum()
    });

    assert_eq!(embedded, 300);
    let stats = db.api.stats();
    assert_eq!(stats.texts, 300);
    assert_eq!(stats.max_in_flight, 2);
    assert_eq!(right(&mut db.session(), "logs"), 300);
}

#[test]
fn more_than_100_rows_go_out_as_requests_side_by_side() {
    let db = Db::fresh();
    // None is answered before all three are there.
    let all_there = Barrier::new(3);
    db.api.set(|config| {
        config.script = Some(Arc::new(move |_| {
            all_there.wait();
            None
        }));
    });
    let mut session = db.session();
    logs(&mut session, 300);
    assert_eq!(session.embed("'logs', 250").unwrap(), 250);

    let stats = db.api.stats();
    assert_eq!(
        (stats.requests, stats.texts, stats.max_in_flight),
        (3, 250, 3)
    );
    assert!(
        db.api
            .requests()
            .iter()
            .all(|request| request.texts().len() <= 100)
    );
    assert_eq!(right(&mut session, "logs"), 250);
}

#[test]
fn concurrency_bounds_the_requests_in_flight() {
    let db = Db::with(Config {
        latency: Duration::from_millis(100),
        ..Config::default()
    });
    let mut session = db.session();
    logs(&mut session, 500);
    session.run("SET embedding_backfill.concurrency = 2");
    assert_eq!(session.embed("'logs', 500").unwrap(), 500);

    let stats = db.api.stats();
    assert_eq!((stats.requests, stats.max_in_flight), (5, 2));
}

fn it_belongs_to_the_callers_transaction(db: &Db) {
    let mut session = db.session();
    logs(&mut session, 20);
    let mut transaction = session.transaction().unwrap();
    let embedded: i64 = transaction
        .query_one("SELECT embed_missing('logs')", &[])
        .unwrap()
        .get(0);
    assert_eq!(embedded, 20);
    transaction.rollback().unwrap();
    assert_eq!(filled(&mut session, "logs"), 0);
}

fn blank_rows_are_passed_over_and_counted(db: &Db) {
    let mut session = db.session();
    session.run(
        r"CREATE TABLE logs (id bigserial PRIMARY KEY, body text, embedding vector(128));
          INSERT INTO logs (body) SELECT (ARRAY[NULL, '', '  ', E' \t\r\n'])[i % 4 + 1] FROM generate_series(1, 60) i;
          INSERT INTO logs (body) SELECT 'entry ' || i FROM generate_series(1, 5) i",
    );
    assert_eq!(session.embed("'logs', 5").unwrap(), 5);
    assert_eq!(session.embed("'logs', 5").unwrap(), 0);

    let notices = session.notices();
    assert!(
        notices
            .iter()
            .any(|notice| notice.contains("60") && notice.contains("blank")),
        "{notices:?}"
    );
    assert_eq!(db.api.stats().texts, 5);
    assert_eq!(right(&mut session, "logs"), 5);
}

fn rows_with_a_vector_are_left_as_they_are(db: &Db) {
    let mut session = db.session();
    logs(&mut session, 10);
    assert_eq!(session.embed("'logs'").unwrap(), 10);
    let before = session.text("SELECT string_agg(ctid || ' ' || xmin, ',' ORDER BY id) FROM logs");
    session.run("INSERT INTO logs VALUES (11, 'one more')");
    assert_eq!(session.embed("'logs'").unwrap(), 1);
    assert_eq!(
        session.text(
            "SELECT string_agg(ctid || ' ' || xmin, ',' ORDER BY id) FROM logs WHERE id <= 10"
        ),
        before
    );
    assert_eq!(db.api.stats().texts, 11);
}

// An error would take back the vectors of the requests that went well, which are paid for.
fn one_failed_request_of_several_is_told_and_the_others_stay(db: &Db) {
    let mut session = db.session();
    logs(&mut session, 250);
    // All three are in flight before the first is answered.
    let all_there = Barrier::new(3);
    db.api.set(|config| {
        config.script = Some(Arc::new(move |request| {
            all_there.wait();
            let first = request.texts().contains(&prompt("entry 1 naïve café"));
            first.then(|| Reply::recorded("403_no_key"))
        }));
    });
    assert_eq!(session.embed("'logs', 250").unwrap(), 150);
    let notices = session.notices();
    assert!(
        notices
            .iter()
            .any(|notice| notice.starts_with("WARNING: 100 rows of this batch stay")),
        "{notices:?}"
    );
    assert_eq!(right(&mut session, "logs"), 150);

    // Alone it is an error.
    always(db, Reply::recorded("403_no_key"));
    refused(session.embed("'logs', 100"), "28000", "", "");
    assert_eq!(filled(&mut session, "logs"), 150);
}

at_both! {
    a_batch_is_50_rows_unless_told
    it_belongs_to_the_callers_transaction
    blank_rows_are_passed_over_and_counted
    rows_with_a_vector_are_left_as_they_are
    one_failed_request_of_several_is_told_and_the_others_stay
}
