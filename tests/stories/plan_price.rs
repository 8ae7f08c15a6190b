//! The figures of `embed_plan`: tokens, requests, dollars and time, held against what the stand-in bills.

use std::process::Command;

use google_standin::{Config, Semantics};
use support::{Db, Session};

use crate::{
    demo_tables,
    fixtures::logs,
    plan::{holds, number, plan, warnings},
};

#[test]
fn a_table_larger_than_what_is_looked_at() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 2345);
    let billed = db.api.stats().tokens;
    let plan = holds(&db, &mut session, "logs", "'logs', 100");
    let billed = (db.api.stats().tokens - billed) as f64;
    assert_eq!(number(&plan, "requests"), 24);
    let off = (number(&plan, "tokens") as f64 - billed).abs() / billed;
    assert!(off < 0.15, "{plan}: {billed} were billed");
}

// A run takes a small quota in small requests, so that it is used evenly.
#[test]
fn a_pace_that_makes_requests_smaller() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 30);
    session.run("SET embedding_backfill.texts_per_minute = 200");
    let plan = holds(&db, &mut session, "logs", "'logs', 100");
    assert_eq!(number(&plan, "requests"), 3);
    // The same where not all of the rows are looked at.
    session.run("INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(31, 1230) i");
    let requests = session.number("SELECT requests FROM embed_plan('logs', 100)");
    assert_eq!(requests, 120);
}

// They are more than a request takes, though they are fewer than a batch.
#[test]
fn texts_that_fill_a_request_before_their_number_does() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE t (body text, embedding vector(128));
         INSERT INTO t SELECT i || repeat(' word', 200000) FROM generate_series(1, 25) i",
    );
    let plan = holds(&db, &mut session, "t", "'t', 100");
    assert!(number(&plan, "requests") > 1);
    let tokens = number(&plan, "tokens");
    assert_eq!(
        tokens as u64,
        db.api.stats().tokens,
        "what a model cuts off is not paid"
    );
    assert!(
        warnings(&mut session, "'t', 100").is_empty(),
        "nothing is pending any more"
    );
}

fn demo_is_priced(db: &Db) {
    let mut session = db.session();
    demo_tables::load(&mut session);
    for (table, rows, requests) in [("memory_logs", 487, 10), ("mental_notes", 1, 1)] {
        let before = db.api.stats();
        let plan = holds(db, &mut session, table, &format!("'{table}'"));
        let billed = (db.api.stats().tokens - before.tokens) as f64;
        assert_eq!(
            (number(&plan, "rows_pending"), number(&plan, "requests")),
            (rows, requests)
        );
        let off = number(&plan, "tokens") as f64 / billed - 1.0;
        println!("{table}: {billed} tokens, off by {:.1} %", off * 100.0);
        assert!(off.abs() <= 0.15, "{table}: off by {off}: {plan}");
        let cost = plan["cost_usd"].as_f64().unwrap();
        assert!((cost - billed * 0.2 / 1e6).abs() < 0.01, "{cost}");
        // What the run says in the end is what was billed.
        let run =
            session.number("SELECT tokens FROM embedding_backfill.runs ORDER BY run DESC LIMIT 1");
        assert_eq!(run as f64, billed);
    }
}

#[test]
fn the_demo_data_by_a_plain_count() {
    demo_is_priced(&Db::fresh());
}

#[test]
fn the_demo_data_by_a_real_tokenizer() {
    let words = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/words");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/support/standin/words.sh");
    let fetched = Command::new(script).arg(words).status();
    assert!(fetched.expect("it can be run").success());
    demo_is_priced(&Db::with(Config {
        semantics: Semantics::words(words).unwrap(),
        ..Config::default()
    }));
}

#[test]
fn the_models_price_or_ones_own() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 1000);
    let cost = |session: &mut Session, more: &str| {
        let plan = plan(session, &format!("'logs'{more}"));
        (
            number(&plan, "tokens") as f64,
            plan["cost_usd"].as_f64().unwrap(),
        )
    };
    for (more, price) in [("", 0.2), (", model => 'gemini-embedding-001'", 0.15)] {
        let (tokens, cost) = cost(&mut session, more);
        assert!(
            (cost - tokens * price / 1e6).abs() <= 0.00005,
            "{tokens} for {cost}"
        );
    }
    session.run("SET embedding_backfill.price_per_million_tokens = 1000");
    let (tokens, cost) = cost(&mut session, "");
    assert!(
        (cost - tokens / 1e3).abs() <= 0.00005,
        "{tokens} for {cost}"
    );
}

#[test]
fn the_duration_follows_the_pace() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 1200);
    let seconds = |session: &mut Session| {
        session.number("SELECT extract(epoch FROM duration)::bigint FROM embed_plan('logs', 100)")
    };
    let unpaced = seconds(&mut session);
    assert!((1..20).contains(&unpaced), "{unpaced} s");
    session.run("SET embedding_backfill.concurrency = 1");
    assert!(seconds(&mut session) > unpaced);
    session.run("SET embedding_backfill.texts_per_minute = 100");
    assert_eq!(seconds(&mut session), 720);
    session.run("SET embedding_backfill.tokens_per_minute = 100");
    assert!(seconds(&mut session) > 2000);
}
