//! `max_rows`, `max_tokens`, `max_cost`: never exceeded, used as far as they go, and refused where they make no
//! sense. What counts is what the stand-in has billed.

use std::{
    sync::{Arc, Mutex},
    thread::sleep,
    time::Duration,
};

use google_standin::Reply;
use support::{Db, Finished, refused, wait_until};

use crate::fixtures::{filled, logs, right};

pub fn stopped(embedded: i64, remaining: i64, because: &str) -> Finished {
    Finished {
        embedded,
        remaining,
        stopped_because: because.to_owned(),
    }
}

#[test]
fn max_rows_at_its_edge() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    for (limit, finished) in [
        (1, stopped(1, 99, "max_rows")),
        (10, stopped(10, 89, "max_rows")),
        (25, stopped(25, 64, "max_rows")),
        (63, stopped(63, 1, "max_rows")),
        // Nothing is left out, so the limit is not why it ended.
        (1, Finished::done(1, 0)),
        (1, Finished::done(0, 0)),
    ] {
        assert_eq!(
            session
                .embed_all(&format!("'logs', 10, max_rows => {limit}"))
                .unwrap(),
            finished
        );
    }
    assert_eq!(db.api.stats().texts, 100);
    assert_eq!(right(&mut session, "logs"), 100);
}

#[test]
fn rejected_rows_do_not_use_up_max_rows() {
    let db = Db::fresh();
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    let mut session = db.session();
    logs(&mut session, 50);
    session.run("UPDATE logs SET body = 'poison ' || id WHERE id <= 3");
    assert_eq!(
        session
            .embed_all("'logs', 10, max_rows => 20")
            .unwrap()
            .embedded,
        20
    );
    assert_eq!(db.api.stats().texts_billed, 20);
}

/// A row of `logs` is billed fewer tokens than this, and set aside at most so many.
const MOST_A_ROW: u64 = 90;

#[test]
fn max_tokens_is_never_exceeded() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 200);
    for limit in [1, MOST_A_ROW, 500, 1001] {
        let before = db.api.stats();
        let finished = session
            .embed_all(&format!("'logs', 10, max_tokens => {limit}"))
            .unwrap();
        let after = db.api.stats();
        let tokens = after.tokens - before.tokens;
        assert_eq!(finished.stopped_because, "max_tokens");
        assert_eq!(finished.embedded as u64, after.texts - before.texts);
        assert!(tokens <= limit, "{tokens} tokens, max_tokens => {limit}");
        assert!(
            tokens + MOST_A_ROW > limit,
            "only {tokens} tokens, max_tokens => {limit}"
        );
    }
    // Far away it is no limit.
    let finished = session
        .embed_all("'logs', max_tokens => 1000000000000")
        .unwrap();
    assert_eq!(
        (finished.remaining, finished.stopped_because.as_str()),
        (0, "done")
    );
    assert_eq!(right(&mut session, "logs"), 200);
}

// Nobody knows whether Google bills an answer that never came.
#[test]
fn answers_that_get_lost_count_as_paid() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    session.run("SET embedding_backfill.concurrency = 1");
    session.embed_all("'logs', 10").unwrap();
    let limit = db.api.stats().tokens + 200;
    for (replies, because) in [(vec![], "done"), (vec![Reply::Close], "max_tokens")] {
        session.run("UPDATE logs SET embedding = NULL");
        db.api.set(|config| config.replies = replies.into());
        let call = format!("'logs', 10, max_tokens => {limit}");
        assert_eq!(session.embed_all(&call).unwrap().stopped_because, because);
    }
}

// The stand-in bills the first answer too late for anybody to wait for it.
#[test]
fn what_is_sent_again_may_not_pass_max_tokens_either() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE logs (id int PRIMARY KEY, body text, embedding vector(128));
         INSERT INTO logs SELECT i, repeat('1234567890', 10) || i FROM generate_series(1, 9) i;
         SET embedding_backfill.request_timeout = '1s'",
    );
    let late = Mutex::new(true);
    db.api.set(|config| {
        config.script = Some(Arc::new(move |_| {
            if std::mem::take(&mut *late.lock().unwrap()) {
                sleep(Duration::from_secs(3));
            }
            None
        }));
    });
    let finished = session.embed_all("'logs', max_tokens => 300").unwrap();
    wait_until("all is billed", || db.api.stats().in_flight == 0);
    let stats = db.api.stats();
    assert!(
        stats.texts_billed as i64 > finished.embedded,
        "nothing was lost"
    );
    assert!(stats.tokens <= 300, "{} tokens", stats.tokens);
    assert_eq!(finished.stopped_because, "max_tokens");
}

#[test]
fn max_cost_is_never_exceeded() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 200);
    for (price, cost) in [(-1.0, 0.0001), (1_000_000.0, 700.0), (0.5, 0.00045)] {
        session.run(&format!(
            "SET embedding_backfill.price_per_million_tokens = {price}"
        ));
        let before = db.api.stats().tokens;
        let finished = session
            .embed_all(&format!("'logs', 10, max_cost => {cost}"))
            .unwrap();
        assert_eq!(finished.stopped_because, "max_cost");
        assert!(finished.embedded > 0);
        let price = if price < 0.0 { 0.2 } else { price };
        let tokens = db.api.stats().tokens - before;
        let spent = tokens as f64 * price / 1e6;
        assert!(spent <= cost, "${spent}, max_cost => {cost}");
        let kept = "SELECT cost::float8 FROM embedding_backfill.runs ORDER BY run DESC LIMIT 1";
        let kept: f64 = session.query_one(kept, &[]).unwrap().get(0);
        assert!(
            (kept - spent).abs() < 1e-6,
            "{kept} in the journal, {spent} spent"
        );
    }
    // The smaller of two limits counts, and what is free is no limit.
    session.run("SET embedding_backfill.price_per_million_tokens = 1000000");
    let both = "'logs', 10, max_cost => 500, max_tokens => 200";
    assert_eq!(
        session.embed_all(both).unwrap().stopped_because,
        "max_tokens"
    );
    session.run("SET embedding_backfill.price_per_million_tokens = 0");
    let free = session.embed_all("'logs', max_cost => 0.01").unwrap();
    assert_eq!(free.stopped_because, "done");
    assert_eq!(filled(&mut session, "logs"), 200);
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 10);
    for (name, value) in [
        ("max_rows", "0"),
        ("max_rows", "-1"),
        ("max_tokens", "0"),
        ("max_tokens", "-5"),
        ("max_cost", "0"),
        ("max_cost", "-0.01"),
        ("max_cost", "'NaN'"),
        ("max_duration", "'0 s'"),
        ("max_duration", "'-1 hour'"),
    ] {
        println!("{name} => {value}");
        refused(
            session.embed_all(&format!("'logs', {name} => {value}")),
            "22023",
            name,
            "no limit",
        );
    }
    assert_eq!(db.api.stats().requests, 0);
    for (name, value) in [
        ("max_duration", "'100 years'"),
        ("max_cost", "1e15"),
        ("max_rows", "9223372036854775807"),
        ("max_tokens", "9223372036854775807"),
    ] {
        println!("{name} => {value}");
        session.run("UPDATE logs SET embedding = NULL");
        assert_eq!(
            session
                .embed_all(&format!("'logs', {name} => {value}"))
                .unwrap(),
            Finished::done(10, 0)
        );
    }
}

// Neither may end in a panic; PostgreSQL 17 and newer have infinite intervals.
#[test]
fn infinite_limits_are_none_or_refused() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 10);
    let newest = session.number("SELECT current_setting('server_version_num')::int8") >= 170_000;
    for (name, value) in [("max_cost", "'Infinity'"), ("max_duration", "'infinity'")] {
        if name == "max_duration" && !newest {
            continue;
        }
        session.run("UPDATE logs SET embedding = NULL");
        match session.embed_all(&format!("'logs', {name} => {value}")) {
            Ok(finished) => assert_eq!(finished, Finished::done(10, 0)),
            refusal => {
                refused(refusal, "22023", name, "no limit");
            }
        }
    }
}
