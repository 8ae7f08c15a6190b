//! A `CALL mirror_to_chroma(…)` that waits holds nothing, and ends when it is told to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    thread::{self, sleep},
    time::Duration,
};

use support::{Db, Gateway, Process, Session, Verdict, denied, wait_until};

use crate::{
    mirror::mirrors_logs,
    mirror_shapes::watched,
    waiting::{holds_nobody_up, holds_nothing},
};

const CALL: &str = "'logs', 'logs', batch => 10";

/// Stands before Chroma from the nth upsert on, until it is opened; half a minute at most, so that a failed story ends.
pub struct Barrier {
    open: Arc<AtomicBool>,
    waiting: Arc<AtomicU32>,
}

impl Barrier {
    pub fn after(gateway: &Gateway, free: u32) -> Barrier {
        let barrier = Barrier {
            open: Arc::default(),
            waiting: Arc::default(),
        };
        let (open, waiting) = (Arc::clone(&barrier.open), Arc::clone(&barrier.waiting));
        let upserts = AtomicU32::new(0);
        gateway.set(move |asked| {
            if asked.is("upsert") && upserts.fetch_add(1, Relaxed) >= free {
                waiting.fetch_add(1, Relaxed);
                let mut polls = 0;
                while !open.load(Relaxed) && polls < 6000 {
                    polls += 1;
                    sleep(Duration::from_millis(5));
                }
            }
            Verdict::Pass
        });
        barrier
    }

    pub fn wait(&self, requests: u32) {
        wait_until("requests are in flight", || {
            self.waiting.load(Relaxed) >= requests
        });
    }

    pub fn open(&self) {
        self.open.store(true, Relaxed);
    }
}

fn ready(rows: u32) -> (Db<'static>, support::Store<'static>, Gateway, Session) {
    let (db, store, gateway, _) = watched(rows);
    db.set("concurrency", "2");
    let session = db.session();
    (db, store, gateway, session)
}

#[test]
fn it_holds_nothing_and_nobody_up() {
    let (db, store, gateway, mut session) = ready(200);
    let barrier = Barrier::after(&gateway, 2);
    thread::scope(|scope| {
        let call = scope.spawn(|| db.session().mirror(CALL));
        barrier.wait(2);
        holds_nothing(&db, "CALL mirror_to_chroma");
        holds_nobody_up(&db);
        barrier.open();
        // Rows that were changed meanwhile are sent again.
        let (mirrored, removed) = call.join().unwrap().unwrap();
        assert!(mirrored >= 200 && removed == 0, "{mirrored} {removed}");
    });
    assert_eq!(mirrors_logs(&mut session, &store), 200);
}

// The answer it waits for has not come when it has ended already.
#[test]
fn a_cancel_ends_it_at_once() {
    let (db, store, gateway, mut session) = ready(100);
    for end in [
        "pg_cancel_backend",
        "statement_timeout",
        "pg_terminate_backend",
    ] {
        let barrier = Barrier::after(&gateway, 3);
        let mut caller = db.session();
        let pid = Process::of(&mut caller).pid();
        if end == "statement_timeout" {
            caller.run("SET statement_timeout = '2s'");
        }
        let (error, mut caller) = thread::scope(|scope| {
            let call = scope.spawn(move || (caller.mirror(CALL), caller));
            barrier.wait(2);
            if end != "statement_timeout" {
                session.run(&format!("SELECT {end}({pid})"));
            }
            call.join().unwrap()
        });
        assert!(!barrier.open.load(Relaxed));
        barrier.open();
        if end == "pg_terminate_backend" {
            // The client may see that the connection is closed before it has read why.
            let error = error.expect_err("it was ended");
            let code = error.code().map(|code| code.code().to_owned());
            assert!(
                error.is_closed() || code.as_deref() == Some("57P01"),
                "{error:?}"
            );
        } else {
            denied(error, "57014", "");
            caller.run("RESET statement_timeout");
            let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
            assert_eq!(caller.number(held), 0);
        }
        wait_until("the journal has it", || {
            session.number("SELECT count(*) FROM embedding_backfill.runs WHERE function = 'mirror_to_chroma' AND state = 'running'") == 0
        });
    }
    assert!(store.count("logs") < 100);
    gateway.set(|_| Verdict::Pass);
    assert_eq!(db.session().mirror(CALL).unwrap(), (100, 0));
    mirrors_logs(&mut session, &store);
}

/// Calls embed_stop, and waits until the run knows: it looks when it updates its entry, and then waits for the requests in flight,
/// so that no answer is lost.
pub fn tell_to_stop(session: &mut Session) {
    assert_eq!(session.text("SELECT embed_stop('logs')::text"), "true");
    let asked = session.text("SELECT clock_timestamp()::text");
    let knows = format!(
        "SELECT count(*) FROM embedding_backfill.progress JOIN embedding_backfill.runs USING (run) WHERE updated > '{asked}'"
    );
    wait_until("it knows", || session.number(&knows) == 1);
}

// Nothing is removed before all rows were looked at.
#[test]
fn embed_stop_ends_it_without_a_loss() {
    let (db, store, gateway, mut session) = ready(200);
    assert_eq!(session.mirror(CALL).unwrap(), (200, 0));
    session.run("DELETE FROM logs WHERE id <= 5");
    let barrier = Barrier::after(&gateway, 4);
    let (mirrored, removed) = thread::scope(|scope| {
        let call = scope.spawn(|| db.session().mirror(CALL).unwrap());
        barrier.wait(2);
        tell_to_stop(&mut session);
        assert!(!call.is_finished());
        barrier.open();
        call.join().unwrap()
    });
    assert!((60..195).contains(&mirrored), "{mirrored}");
    assert_eq!((removed, store.count("logs")), (0, 200));
    let ended = "SELECT reason FROM embedding_backfill.runs ORDER BY run DESC LIMIT 1";
    assert_eq!(session.text(ended), "stop_requested");
    gateway.set(|_| Verdict::Pass);
    assert_eq!(session.mirror(CALL).unwrap(), (195, 5));
    mirrors_logs(&mut session, &store);
}

#[test]
fn max_duration_ends_it() {
    let (_db, store, gateway, mut session) = ready(200);
    gateway.set(|asked| {
        if asked.is("upsert") {
            sleep(Duration::from_millis(400));
        }
        Verdict::Pass
    });
    let call = format!("{CALL}, max_duration => '2 s'");
    let (mirrored, removed) = session.mirror(&call).unwrap();
    assert!(
        (1..200).contains(&mirrored) && removed == 0,
        "{mirrored} {removed}"
    );
    assert_eq!(store.count("logs"), mirrored);
    let ended = "SELECT reason FROM embedding_backfill.runs ORDER BY run DESC LIMIT 1";
    assert_eq!(session.text(ended), "max_duration");
    gateway.set(|_| Verdict::Pass);
    assert_eq!(session.mirror(CALL).unwrap(), (200, 0));
    mirrors_logs(&mut session, &store);
}

// The removal of one must not meet rows that another is about to bring.
#[test]
fn one_run_a_column() {
    let (db, store, gateway, mut session) = ready(100);
    let barrier = Barrier::after(&gateway, 0);
    thread::scope(|scope| {
        let call = scope.spawn(|| db.session().mirror(CALL).unwrap());
        barrier.wait(1);
        let row = session.query_one("CALL mirror_to_chroma('logs', 'logs')", &[]);
        let row = row.unwrap();
        let told: (Option<i64>, Option<i64>) = (row.get(0), row.get(1));
        assert_eq!((told.0.unwrap_or(0), told.1.unwrap_or(0)), (0, 0));
        let notices = session.notices();
        assert!(
            notices
                .iter()
                .any(|notice| notice.contains("logs.embedding is being")),
            "{notices:#?}"
        );
        let run = session
            .query_one("CALL embed_all_missing('logs')", &[])
            .unwrap();
        assert_eq!(run.get::<_, &str>("stopped_because"), "already_running");
        assert_eq!(session.embed("'logs'").unwrap(), 0);
        barrier.open();
        assert_eq!(call.join().unwrap(), (100, 0));
    });
    mirrors_logs(&mut session, &store);
}
