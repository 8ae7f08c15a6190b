//! What little a batch or a session might leave behind, so many times over that it would show: `EB_BATCHES` batches of one `CALL`,
//! and `EB_SESSIONS` sessions of one call each.

use std::sync::{Arc, Mutex};

use google_standin::Config;
use support::{
    Cluster, Db, Finished, Process, Session, Trial, open_connections, timed, wait_until,
};

use crate::{
    fixtures::{right, told},
    load::Load,
};

const BATCHES: u64 = 1000;
const SESSIONS: u64 = 50;

/// What may be gained in memory between the first tenth and the end, in kB. Some comes early on, as threads come to use memory
/// of others; 60,000 batches gained no more than 1,000 did.
const MOST_GROWTH: u64 = 3 * 1024;

fn pending(session: &mut Session, rows: u64) {
    session.run(&format!(
        "CREATE TABLE logs (id bigint PRIMARY KEY, body text, embedding vector(128));
         INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(1, {rows}) i;
         ANALYZE logs"
    ));
}

/// What the backend takes while it waits for an answer, in the first tenth of the requests and in the last.
#[derive(Clone, Copy, Debug, Default)]
struct Looks {
    requests: u64,
    first: Option<Load>,
    last: Option<Load>,
}

impl Looks {
    fn at_a_request(&mut self, batches: u64, backend: Process) {
        let (request, tenth) = (self.requests, batches / 10);
        self.requests += 1;
        if !request.is_multiple_of(10) {
            return;
        }
        let now = Load::of(backend);
        if request < tenth {
            self.first = Some(self.first.map_or(now, |first| first.most(now)));
        } else if request >= batches - tenth {
            self.last = Some(self.last.map_or(now, |last| last.lasting(now)));
        }
    }
}

// Would pass wrongly if several rows went into a request: these are counted.
#[test]
fn a_call_of_many_batches_takes_no_more_at_its_end() {
    let batches = told("EB_BATCHES", BATCHES);
    let db = Db::fresh();
    let (mut session, mut caller) = (db.session(), db.session());
    pending(&mut session, batches);
    let backend = Process::of(&mut caller);
    let looks = Arc::new(Mutex::new(Looks::default()));
    let seen = Arc::clone(&looks);
    db.api.set(|config| {
        // What is recorded would be the stand-in's memory, in this process; nobody looks at it.
        config.record = false;
        config.script = Some(Arc::new(move |_| {
            seen.lock().unwrap().at_a_request(batches, backend);
            None
        }));
    });
    let (finished, took) = timed(|| caller.embed_all("'logs', 1"));
    assert_eq!(finished.unwrap(), Finished::done(batches as i64, 0));

    let looks = *looks.lock().unwrap();
    println!("{batches} batches in {took:.1?}: {looks:?}");
    assert_eq!(looks.requests, batches);
    let (first, last) = (
        looks.first.expect("it was seen"),
        looks.last.expect("it was seen"),
    );
    assert!(last.memory_kb <= first.memory_kb + MOST_GROWTH, "{looks:?}");
    assert!(last.threads <= first.threads, "{looks:?}");
    assert!(
        last.pipes_and_sockets <= first.pipes_and_sockets,
        "{looks:?}"
    );
    // Of a table that grows PostgreSQL opens more parts.
    assert!(last.files <= first.files + 4, "{looks:?}");
    assert_eq!(right(&mut session, "logs") as u64, batches);
    if batches == BATCHES {
        note(
            "batches in one CALL",
            batches,
            "memory, threads and open files are those of the first tenth",
        );
    }
}

fn note(fault: &str, times: u64, seen: &str) {
    Trial {
        chapter: "Long runs",
        fault,
        times,
        seen,
        lost: 0,
        doubled: 0,
    }
    .note();
}

/// What is left of the sessions that have ended, as seen from all sides.
#[derive(Debug)]
struct Left {
    server: Load,
    processes: usize,
    shared_memory: i64,
    temporary_files: i64,
    locks: i64,
}

impl Left {
    /// When the last session that ended is really gone.
    fn now(db: &Db, other: &mut Session, postmaster: Process) -> Left {
        let others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        wait_until("the sessions are gone", || other.number(others) == 0);
        // A process leaves that view before it has ended.
        let all = "SELECT count(*) FROM pg_stat_activity";
        wait_until("their processes are gone", || {
            postmaster.children().len() as i64 == other.number(all)
        });
        wait_until("their connections are closed", || {
            open_connections(db.api.address()) == 0
        });
        Left {
            server: Load::of(postmaster),
            processes: postmaster.children().len(),
            shared_memory: other.number(
                "SELECT (SELECT count(*) FROM pg_ls_dir('pg_dynshmem'))
                      + (SELECT count(*) FROM pg_shmem_allocations)",
            ),
            temporary_files: other.number(
                "SELECT (SELECT count(*) FROM pg_ls_tmpdir())
                      + (SELECT temp_files FROM pg_stat_database WHERE datname = current_database())",
            ),
            locks: other.number("SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid()"),
        }
    }
}

// A server of its own, where nobody else comes and goes. Would pass wrongly if a session did nothing: each embeds a row or a text.
#[test]
fn sessions_of_one_call_each_leave_nothing() {
    let sessions = told("EB_SESSIONS", SESSIONS);
    let settings = [
        ("dynamic_shared_memory_type", "mmap"),
        ("autovacuum", "off"),
    ];
    let cluster = Cluster::start(&settings, &[]);
    let db = Db::on(&cluster, Config::default());
    let mut other = db.session();
    pending(&mut other, sessions);
    let postmaster = cluster.postmaster();

    let calls = [
        "SELECT embed_missing('logs', 1)",
        "CALL embed_all_missing('logs', 1, max_rows => 1)",
        "SELECT embed_text('entry')",
    ];
    let mut early = None;
    let ((), took) = timed(|| {
        for session in 0..sessions {
            if session == sessions / 10 {
                early = Some(Left::now(&db, &mut other, postmaster));
            }
            let call = calls[session as usize % calls.len()];
            db.session().run(call);
        }
    });
    let early = early.expect("there are ten sessions at least");
    let late = Left::now(&db, &mut other, postmaster);
    println!("{sessions} sessions in {took:.1?}\n{early:?}\n{late:?}");

    assert_eq!(db.api.stats().texts_billed, sessions);
    let texts = sessions / 3;
    assert_eq!(right(&mut other, "logs") as u64, sessions - texts);
    assert_eq!(late.processes, early.processes);
    assert_eq!(late.shared_memory, early.shared_memory);
    assert_eq!((late.temporary_files, late.locks), (0, 0));
    assert!(
        late.server.memory_kb <= early.server.memory_kb + MOST_GROWTH,
        "{early:?} {late:?}"
    );
    assert!(
        late.server.files <= early.server.files,
        "{early:?} {late:?}"
    );
    if sessions == SESSIONS {
        note(
            "sessions of one call each",
            sessions,
            "no process, connection, lock, shared memory or temporary file is left",
        );
    }
}
