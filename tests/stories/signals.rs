//! What the server and its other sessions tell a backend that waits for the API: it ends at once where it must, and takes no notice
//! where it is not meant.

use std::{thread, time::Duration};

use google_standin::Config;
use support::{Cluster, Db, Process, Session, timed, wait_until};

use crate::{
    cancel::{CALLS, SOON, goes_on, hung_on, in_flight, note},
    fixtures::{Gate, logs, right},
};

/// A server of its own for each call, where a request hangs; `end` ends the server and gives how long the backend lived on.
fn each_on_its_server(end: impl Fn(&Cluster, &Db, Process) -> Duration, most: Duration) {
    for call in CALLS {
        let cluster = Cluster::start(&[], &[]);
        let db = Db::on(&cluster, Config::default());
        hung_on(&db);
        let mut session = db.session();
        let backend = Process::of(&mut session);
        // It ends by itself where it is not ended, so that a failed story does.
        session.run("SET statement_timeout = '40s'");
        thread::scope(|scope| {
            let running = scope.spawn(|| session.batch_execute(call));
            wait_until("a request hangs", in_flight(&db));
            let took = end(&cluster, &db, backend);
            assert!(took < most, "{call}: {took:?}");
            running.join().unwrap().unwrap_err();
        });
        cluster.recover();
        goes_on(&db, &mut db.revived());
    }
}

#[test]
fn a_backend_does_not_outlive_the_postmaster() {
    let kill = |cluster: &Cluster, _: &Db, backend: Process| {
        let postmaster = cluster.postmaster();
        let others = postmaster.children();
        assert!(others.contains(&backend));
        let ((), took) = timed(|| {
            postmaster.kill();
            wait_until("the backend is gone", || backend.has_ended());
        });
        wait_until("all are gone", || {
            postmaster.has_ended() && others.iter().all(|other| other.has_ended())
        });
        took
    };
    each_on_its_server(kill, Duration::from_secs(1));
    note(
        "kill -9 of the postmaster while a request hangs",
        "the connection is lost, and the backend is gone within a second",
    );
}

#[test]
fn a_shutdown_is_not_held_up() {
    let shut_down = |cluster: &Cluster, db: &Db, backend: Process| {
        thread::scope(|scope| {
            let ((), took) = timed(|| {
                scope.spawn(|| cluster.shut_down());
                wait_until("the backend is gone", || backend.has_ended());
            });
            assert_eq!(
                db.last_words(backend.pid()),
                "terminating connection due to administrator command"
            );
            took
        })
    };
    each_on_its_server(shut_down, SOON);
    note(
        "pg_ctl stop -m fast while a request hangs",
        "terminating connection due to administrator command",
    );
}

/// What `meanwhile` does to a backend that waits for an answer does not show in the answer.
fn unmoved(call: &str, meanwhile: impl FnOnce(&Db, &mut Session, Process)) {
    let db = Db::fresh();
    let gate = Gate::after(&db, 0);
    let (mut session, mut other) = (db.session(), db.session());
    logs(&mut session, 300);
    session.run("SET statement_timeout = '40s'; LISTEN others");
    let backend = Process::of(&mut session);
    thread::scope(|scope| {
        let running = scope.spawn(|| session.batch_execute(call));
        wait_until("a request waits", in_flight(&db));
        meanwhile(&db, &mut other, backend);
        assert!(!running.is_finished(), "{call} has ended");
        gate.open();
        running.join().unwrap().unwrap();
    });
    let rows = match call {
        call if call.starts_with("CALL") => 300,
        call if call.contains("embed_missing") => 250,
        _ => 0,
    };
    assert_eq!(right(&mut other, "logs"), rows);
    assert_eq!(
        db.api.stats().texts,
        rows.max(1) as u64,
        "nothing is sent twice"
    );
}

#[test]
fn signals_for_something_else_do_not_disturb_a_call() {
    for call in CALLS {
        unmoved(call, |_, other, backend| {
            for _ in 0..50 {
                other.run("SELECT pg_reload_conf(); NOTIFY others");
                let pid = backend.pid();
                other.run(&format!("SELECT pg_log_backend_memory_contexts({pid})"));
            }
        });
    }
    note(
        "150 signals for something else while a request is answered: reload, NOTIFY, log of memory",
        "nothing; the call does what it would",
    );
}

// DROP DATABASE waits until every backend of the server has closed its files of that database.
#[test]
fn drop_database_elsewhere_does_not_wait_for_the_api() {
    for call in CALLS {
        unmoved(call, |db, _, _| {
            let mut elsewhere = db.session_in("postgres");
            elsewhere.run("SET statement_timeout = '10s'");
            let other = format!("{}_other", db.name);
            elsewhere.run(&format!("CREATE DATABASE {other}"));
            elsewhere.run(&format!("DROP DATABASE {other}"));
        });
    }
    note(
        "DROP DATABASE of another database while a request hangs",
        "the database is dropped at once, and the call does what it would",
    );
}
