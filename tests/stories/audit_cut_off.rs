//! The line of a run is written also where the run is cut off: cancelled, terminated, or in a part of a transaction that failed.

use std::thread;

use support::{Db, Process, wait_until};

use crate::audit::{Line, Watched, of_a_column};
use crate::fixtures::{Gate, filled, mended};

#[test]
fn one_that_is_cut_off_leaves_its_line() {
    let mut watched = Watched::new(Db::fresh());
    let mut other = watched.db.session();
    for cut in ["pg_cancel_backend", "pg_terminate_backend"] {
        other.run("UPDATE logs SET embedding = NULL");
        let gate = Gate::after(&watched.db, 2);
        let mut session = watched.db.session_as(&watched.role);
        session.run("SET embedding_backfill.concurrency = 1");
        let backend = Process::of(&mut session);
        thread::scope(|scope| {
            let call = scope.spawn(|| session.embed_all("'logs', 10"));
            wait_until("two requests are written and the third hangs", || {
                filled(&mut other, "logs") == 20 && watched.db.api.stats().in_flight == 1
            });
            other.run(&format!("SELECT {cut}({})", backend.pid()));
            call.join().unwrap().unwrap_err();
        });
        gate.open();
        // A client hears of its end before the log does.
        wait_until("the backend is gone, or idle", || {
            let busy = format!(
                "SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND state = 'active'",
                backend.pid()
            );
            other.number(&busy) == 0
        });
        let line = watched.logged(&of_a_column(&[
            ("function", "embed_all_missing"),
            ("rows", "20"),
            ("ended", "interrupted"),
        ]));
        assert_ne!(line["tokens"], "0");
    }

    // In a part of a transaction that goes on without it.
    mended(&watched.db);
    let gate = Gate::after(&watched.db, 0);
    let backend = Process::of(&mut watched.session);
    let before = watched.db.api.stats().requests;
    thread::scope(|scope| {
        let session = &mut watched.session;
        let cut = scope.spawn(|| {
            session.run(
                "DO $$ BEGIN
                     BEGIN PERFORM embed_missing('logs', 7); EXCEPTION WHEN query_canceled THEN NULL; END;
                     PERFORM 1 / 0;
                 EXCEPTION WHEN division_by_zero THEN NULL; END $$",
            );
        });
        wait_until("a request is in flight", || {
            watched.db.api.stats().requests > before
        });
        other.run(&format!("SELECT pg_cancel_backend({})", backend.pid()));
        cut.join().unwrap();
    });
    gate.open();
    watched.logged(&of_a_column(&[
        ("function", "embed_missing"),
        ("texts", "7"),
        ("rows", "0"),
        ("ended", "interrupted"),
    ]));
    // And in one that fails by itself, with nothing of ours under way.
    watched.session.run(
        "DO $$ BEGIN PERFORM embed_missing('logs', 2); RAISE 'no'; EXCEPTION WHEN raise_exception THEN NULL; END $$",
    );
    watched.logged(&of_a_column(&[("texts", "2"), ("ended", "done")]));
}

// A content may itself ask for vectors; both are told, each with its own numbers.
#[test]
fn one_inside_another_has_its_own() {
    let mut watched = Watched::new(Db::fresh());
    watched.db.session().run(
        "CREATE FUNCTION echo(body text) RETURNS text LANGUAGE plpgsql AS $$
         BEGIN
             PERFORM embed_text(body);
             BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END;
             RETURN body;
         END $$",
    );
    watched
        .session
        .embed_all("'logs', 10, content => 'echo(body)', source_filter => 'id <= 5'")
        .unwrap();
    let lines = watched.lines();
    let (inner, outer): (Vec<&Line>, Vec<&Line>) = lines
        .iter()
        .partition(|line| line["function"] == "embed_text");
    assert!(inner.len() == 5 && outer.len() == 1, "{lines:#?}");
    assert_eq!(
        (outer[0]["texts"].as_str(), outer[0]["rows"].as_str()),
        ("5", "5")
    );
    assert!(lines.iter().all(|line| line["ended"] == "done"));
}
