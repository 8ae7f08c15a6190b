//! A `CALL` that is ended from outside at any moment: its backend killed, its server crashed, its session terminated, the call
//! cancelled. Whatever was going on, rows are NULL or right, nothing else has changed, nothing is held, and the next CALL finishes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use google_standin::{Config, Reply};
use support::{Cluster, Db, Finished, Process, Psql, Session, Trial, wait_until};

use crate::{
    fixtures::{filled, logs, mended, right},
    moments::{Dice, Moment},
};

const SEED: u64 = 1;
/// On one table; five stories make fifty.
const ROUNDS: u32 = 10;
const ROWS: i64 = 300;
const BATCH: u64 = 5;
const CALL: &str = "CALL embed_all_missing('logs', 5, 'body')";
const CONCURRENCY: u64 = 4;
const LAST_MOMENT: u64 = 45;

#[derive(Clone, Copy, Debug)]
enum End {
    Kill,
    Crash,
    Terminate,
    Cancel,
    CtrlC,
}

#[test]
fn kill_9_of_the_backend() {
    let cluster = durable_server();
    rounds(&cluster, End::Kill);
}

#[test]
fn a_crash_of_the_server() {
    let cluster = durable_server();
    rounds(&cluster, End::Crash);
}

#[test]
fn termination() {
    rounds(Cluster::shared(), End::Terminate);
}

#[test]
fn a_cancel() {
    rounds(Cluster::shared(), End::Cancel);
}

#[test]
fn ctrl_c() {
    rounds(Cluster::shared(), End::CtrlC);
}

fn durable_server() -> Cluster {
    Cluster::start(&[("fsync", "on"), ("autovacuum", "off")], &[])
}

fn rounds(cluster: &Cluster, end: End) {
    let db = Db::on(
        cluster,
        Config {
            latency: Duration::from_millis(2),
            ..Config::default()
        },
    );
    db.set("concurrency", &CONCURRENCY.to_string());
    let mut session = db.session();
    logs(&mut session, ROWS as u32);
    session.run(
        "ALTER TABLE logs ADD COLUMN note text DEFAULT 'kept', ADD COLUMN seen timestamptz DEFAULT now()",
    );
    drop(session);

    let mut dice = Dice::new(1000 * SEED + end as u64);
    let mut seen = String::new();
    for round in 1..=ROUNDS {
        let moment = Moment::any(&mut dice, LAST_MOMENT);
        println!("seed {SEED}: {end:?}, round {round}: {moment:?}");
        seen = round_of(&db, cluster, end, moment, round);
    }
    Trial {
        chapter: "Interruptions at random",
        fault: match end {
            End::Kill => "kill -9 of the backend",
            End::Crash => "crash of the server",
            End::Terminate => "pg_terminate_backend",
            End::Cancel => "pg_cancel_backend",
            End::CtrlC => "Ctrl-C in psql",
        },
        times: ROUNDS.into(),
        seen: &seen,
        lost: 0,
        doubled: 0,
    }
    .note();
}

/// Gives what the user was told.
fn round_of(db: &Db, cluster: &Cluster, end: End, moment: Moment, round: u32) -> String {
    let mut session = db.session();
    // New contents, so that no vector of an earlier round can pass for a right one.
    session.run(&format!(
        "UPDATE logs SET body = 'round {round} entry ' || id, embedding = NULL"
    ));
    let others = others(&mut session);
    let before = db.api.stats();
    let gate = moment.gate(db, BATCH);
    let psql = start(db, moment);
    let (run, backend) = begun(&mut session);
    moment.reach(db, BATCH, before, backend);

    let complaint = match end {
        End::Kill => {
            backend.kill();
            "server closed the connection unexpectedly"
        }
        End::Crash => {
            cluster.crash();
            "server closed the connection unexpectedly"
        }
        End::Terminate => {
            session.run(&format!("SELECT pg_terminate_backend({})", backend.pid()));
            "terminating connection due to administrator command"
        }
        End::Cancel => {
            session.run(&format!("SELECT pg_cancel_backend({})", backend.pid()));
            "canceling statement due to user request"
        }
        End::CtrlC => {
            psql.interrupt();
            "canceling statement due to user request"
        }
    };
    let said = psql.wait();
    drop(gate);
    // It must have been our doing: a CALL that came to its own end, or to an error, shows nothing.
    let told = said.stderr.lines().find(|line| line.contains(complaint));
    let told = told.unwrap_or_else(|| panic!("{said:?}"));
    match end {
        // The session itself says what it still holds, since its end would release all.
        End::Cancel => assert!(said.stdout.contains("holds 0 locks"), "{said:?}"),
        _ => wait_until("the backend is gone", || !backend.lives()),
    }
    if let End::Crash = end {
        cluster.recover();
    }
    let mut session = db.revived();

    let done = filled(&mut session, "logs");
    assert!(done < ROWS, "the CALL had filled the whole table");
    assert_eq!(right(&mut session, "logs") as i64, done);
    assert_eq!(self::others(&mut session), others);
    // The gate's session may take a moment longer to end.
    wait_until("nothing is held", || held(&mut session) == 0);
    assert_eq!(state(&mut session, run), "interrupted");

    mended(db);
    assert_eq!(
        session.embed_all("'logs', 50, 'body'").unwrap(),
        Finished::done(ROWS - done, 0)
    );
    assert_eq!(right(&mut session, "logs") as i64, ROWS);
    assert_eq!(self::others(&mut session), others);
    assert_eq!(state(&mut session, run), "interrupted");
    assert_eq!(
        session.number("SELECT count(*) FROM embedding_backfill.runs WHERE state = 'running'"),
        0
    );
    // Without the severity, where there is one.
    let words = told.split_once(":  ").map_or(told, |(_, words)| words);
    words.to_owned()
}

/// Starts the CALL beside an API that falls silent soon after the moment, so that it can't end before it is ended.
fn start(db: &Db, moment: Moment) -> Psql {
    let (most, seen) = (moment.requests() + CONCURRENCY, AtomicU64::new(0));
    db.api.set(|config| {
        config.script = Some(Arc::new(move |_| {
            (seen.fetch_add(1, Ordering::Relaxed) >= most).then_some(Reply::Hang)
        }));
    });
    let locks = "SELECT format('holds %s locks', count(*)) FROM pg_locks
                 WHERE pid = pg_backend_pid() AND (locktype = 'advisory' OR relation = 'logs'::regclass)";
    db.start_psql(&["-c", CALL, "-c", locks])
}

/// The run's number and its backend, once its entry in the journal is committed.
fn begun(session: &mut Session) -> (i64, Process) {
    let mut found = None;
    wait_until("the run has begun", || {
        let running =
            "SELECT run, pid::bigint FROM embedding_backfill.runs WHERE state = 'running'";
        found = session.query_opt(running, &[]).unwrap();
        found.is_some()
    });
    let run = found.expect("it has been waited for");
    (run.get(0), Process::new(run.get(1)))
}

/// All that a row has beside its vector.
fn others(session: &mut Session) -> String {
    session.text(
        "SELECT md5(string_agg((to_jsonb(l) - 'embedding')::text, ',' ORDER BY id)) FROM logs l",
    )
}

/// Locks on the table and advisory locks in this database, whoever has them.
fn held(session: &mut Session) -> i64 {
    session.number(
        "SELECT count(*) FROM pg_locks
         WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND (locktype = 'advisory' OR relation = 'logs'::regclass AND pid <> pg_backend_pid())",
    )
}

fn state(session: &mut Session, run: i64) -> String {
    session.text(&format!(
        "SELECT state FROM embedding_backfill.runs WHERE run = {run}"
    ))
}
