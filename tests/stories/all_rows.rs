//! `CALL embed_all_missing(…)`: all that is missing, committed as it goes.

use std::thread;

use google_standin::Reply;
use support::{Db, Finished, denied, refused, wait_until};

use crate::fixtures::{Gate, at_both, filled, logs, right};

fn it_fills_the_table_and_says_so(db: &Db) {
    let mut session = db.session();
    logs(&mut session, 487);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(487, 0));

    let stats = db.api.stats();
    assert_eq!((stats.requests, stats.texts), (10, 487));
    assert_eq!(right(&mut session, "logs"), 487);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(0, 0));
    assert_eq!(db.api.stats().requests, 10);
}

#[test]
fn an_empty_table_is_done() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 0);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(0, 0));
    assert_eq!(db.api.stats().requests, 0);
}

// Would pass wrongly if the look came after the end, when all is committed anyway: it takes a count between none and all.
#[test]
fn another_session_sees_rows_before_the_call_ends() {
    let db = Db::fresh();
    db.set("concurrency", "1");
    let gate = Gate::after(&db, 9);
    let mut watcher = db.session();
    logs(&mut watcher, 100);
    thread::scope(|scope| {
        let call = scope.spawn(|| db.session().embed_all("'logs', 10").unwrap());
        wait_until("some rows are filled and others not", || {
            (1..100).contains(&filled(&mut watcher, "logs"))
        });
        gate.open();
        assert_eq!(call.join().unwrap(), Finished::done(100, 0));
    });
    let transactions = watcher.number("SELECT count(DISTINCT xmin::text) FROM logs");
    assert!(
        transactions >= 5,
        "100 rows in batches of 10 came in {transactions} transactions"
    );
}

fn a_batch_above_100_is_split(db: &Db) {
    let mut session = db.session();
    logs(&mut session, 450);
    assert_eq!(
        session.embed_all("'logs', 1000").unwrap(),
        Finished::done(450, 0)
    );
    assert_eq!(db.api.stats().requests, 5);
    assert_eq!(right(&mut session, "logs"), 450);
}

fn a_batch_below_100_is_the_size_of_a_request(db: &Db) {
    let mut session = db.session();
    logs(&mut session, 45);
    session.embed_all("'logs', 10").unwrap();
    let sizes: Vec<usize> = db
        .api
        .requests()
        .iter()
        .map(|request| request.texts().len())
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 45);
    assert_eq!(sizes.len(), 5);
    assert!(sizes.iter().all(|&size| size <= 10), "{sizes:?}");
}

#[test]
fn a_transaction_block_is_refused_before_anything_is_sent() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 5);
    let call = "CALL embed_all_missing('logs')";

    let mut block = session.transaction().unwrap();
    let error = denied(block.query_one(call, &[]), "25001", "transaction block");
    assert!(error.hint().is_some());
    block.rollback().unwrap();

    denied(
        session.batch_execute(&format!("SELECT 1; {call}")),
        "25001",
        "transaction block",
    );
    session.run(
        "CREATE FUNCTION calls() RETURNS void LANGUAGE plpgsql AS $$
         DECLARE a bigint; b bigint; c text;
         BEGIN CALL embed_all_missing('logs', embedded => a, remaining => b, stopped_because => c); END $$",
    );
    denied(
        session.query("SELECT calls()", &[]),
        "25001",
        "transaction block",
    );
    let caught = "DO $$ DECLARE a bigint; b bigint; c text;
                  BEGIN CALL embed_all_missing('logs', embedded => a, remaining => b, stopped_because => c);
                  EXCEPTION WHEN division_by_zero THEN NULL; END $$";
    denied(session.batch_execute(caught), "25001", "transaction block");

    let said = db.psql(&["--single-transaction", "-c", "SELECT 1", "-c", call]);
    assert!(
        !said.ok && said.stderr.contains("transaction block"),
        "{said:?}"
    );

    assert_eq!(db.api.stats().requests, 0);
    assert_eq!(filled(&mut session, "logs"), 0);
}

fn a_do_block_and_a_procedure_may_call_it(db: &Db) {
    let mut session = db.session();
    logs(&mut session, 30);
    session.run(
        "CREATE PROCEDURE nightly() LANGUAGE plpgsql AS $$
         DECLARE embedded bigint; remaining bigint; stopped_because text;
         BEGIN
             CALL embed_all_missing('logs', 10, source_filter => 'id > 20', embedded => embedded,
                                    remaining => remaining, stopped_because => stopped_because);
             ASSERT (embedded, remaining, stopped_because) = (10, 0, 'done');
         END $$;",
    );
    session.run("CALL nightly()");
    session.run("DO $$ DECLARE a bigint; b bigint; c text; BEGIN CALL embed_all_missing('logs', 10, embedded => a, remaining => b, stopped_because => c); END $$");
    assert_eq!(filled(&mut session, "logs"), 30);
}

fn what_was_paid_for_stays_when_the_api_refuses_in_the_middle(db: &Db) {
    db.set("concurrency", "1");
    let mut session = db.session();
    logs(&mut session, 50);
    db.api.set(|config| {
        config.replies = [Reply::Serve, Reply::Serve, Reply::recorded("403_no_key")].into();
    });
    let error = refused(session.embed_all("'logs', 10"), "28000", "", "");
    assert_eq!(
        error.detail(),
        Some("20 rows were embedded and committed before.")
    );
    assert_eq!(filled(&mut session, "logs"), 20);
    assert_eq!(right(&mut session, "logs"), 20);
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(30, 0)
    );
}

fn isolation_levels_do_not_matter(db: &Db) {
    let mut session = db.session();
    logs(&mut session, 60);
    for (level, rows) in [("repeatable read", 30), ("serializable", 60)] {
        session.run(&format!("SET default_transaction_isolation = '{level}'"));
        assert_eq!(
            session
                .embed(&format!("'logs', 10, source_filter => 'id <= {rows}'"))
                .unwrap(),
            10
        );
        assert_eq!(
            session
                .embed_all(&format!("'logs', source_filter => 'id <= {rows}'"))
                .unwrap(),
            Finished::done(20, 0)
        );
    }
    assert_eq!(
        session.text("SHOW default_transaction_isolation"),
        "serializable"
    );
    assert_eq!(right(&mut session, "logs"), 60);
}

at_both! {
    it_fills_the_table_and_says_so
    a_batch_above_100_is_split
    a_batch_below_100_is_the_size_of_a_request
    a_do_block_and_a_procedure_may_call_it
    what_was_paid_for_stays_when_the_api_refuses_in_the_middle
    isolation_levels_do_not_matter
}
