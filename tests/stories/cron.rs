//! A schedule, by pg_cron itself, in the forms that README gives. Only where the server has pg_cron.

use std::{
    thread::{self, sleep},
    time::{Duration, Instant},
};

use google_standin::Config;
use support::{Cluster, Db, Finished, Install, Session, wait_until};

use crate::{
    demo_tables,
    fixtures::{filled, logs},
};

const EACH_MINUTE: &str = "SELECT embed_missing('memory_logs', 50)";
const NIGHTLY: &str = "CALL embed_all_missing('memory_logs', max_duration => '1 hour')";
const OVERLAPS: &str = "CALL embed_all_missing('logs')";
const FAILS: &str = "SELECT embed_missing('memory_logs', 0)";
const NOT_ALONE: &str = "SET statement_timeout = 0; CALL embed_all_missing('memory_logs')";

/// A server whose scheduler works in this database.
fn scheduling(cluster: &Cluster) -> (Db<'_>, Session) {
    let db = Db::on(cluster, Config::default());
    let mut session = db.session();
    let host = cluster.host().to_str().unwrap();
    session.run(&format!("ALTER SYSTEM SET cron.host = '{host}'"));
    session.run(&format!(
        "ALTER SYSTEM SET cron.database_name = '{}'",
        db.name
    ));
    cluster.crash();
    cluster.recover();
    let mut session = db.session();
    session.run("CREATE EXTENSION pg_cron");
    (db, session)
}

/// How the first run of each job ended, once all have: its status and message.
fn first_runs(session: &mut Session, commands: &[&str]) -> Vec<(String, String)> {
    // The next minute begins within 60 seconds.
    let deadline = Instant::now() + Duration::from_secs(120);
    let ended = "SELECT count(DISTINCT command) FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')";
    while session.number(ended) < commands.len() as i64 {
        assert!(Instant::now() < deadline, "not all jobs have run");
        sleep(Duration::from_millis(100));
    }
    session.run("SELECT cron.unschedule(jobid) FROM cron.job");
    commands
        .iter()
        .map(|command| {
            let row = session
                .query_one(
                    "SELECT status, return_message FROM cron.job_run_details WHERE command = $1 ORDER BY runid LIMIT 1",
                    &[command],
                )
                .unwrap();
            (row.get(0), row.get(1))
        })
        .collect()
}

// Would pass wrongly if the job on `logs` ran before the CALL of the session did or after it: the CALL is at work before
// anything is scheduled, and ends only when it is told to, after the jobs.
#[test]
fn the_jobs_that_readme_schedules() {
    if !Install::get().offers("pg_cron") {
        println!("left out: this server has no pg_cron");
        return;
    }
    let cluster = Cluster::start(&[("shared_preload_libraries", "pg_cron")], &[]);
    let (db, mut session) = scheduling(&cluster);
    demo_tables::load(&mut session);
    logs(&mut session, 3);

    let ended = thread::scope(|scope| {
        let working = scope.spawn(|| {
            let mut session = db.session();
            // After one text none goes out for longer than it takes until the jobs have run.
            session.run("SET embedding_backfill.tokens_per_minute = 1");
            session.embed_all("'logs', 1").unwrap()
        });
        wait_until("a run is at work", || filled(&mut session, "logs") == 1);

        let jobs = [EACH_MINUTE, NIGHTLY, OVERLAPS, FAILS, NOT_ALONE];
        for (number, command) in jobs.iter().enumerate() {
            let schedule = "SELECT cron.schedule($1, '* * * * *', $2)";
            session
                .query(schedule, &[&format!("job {number}"), command])
                .unwrap();
        }
        let ended = first_runs(&mut session, &jobs);
        assert_eq!(session.text("SELECT embed_stop('logs')::text"), "true");
        let Finished {
            embedded,
            stopped_because,
            ..
        } = working.join().unwrap();
        assert_eq!((embedded, stopped_because.as_str()), (1, "stop_requested"));
        ended
    });

    let [each_minute, nightly, overlaps, fails, not_alone] = &ended[..] else {
        panic!("{ended:?}")
    };
    for good in [each_minute, nightly, overlaps] {
        assert_eq!(good.0, "succeeded", "{ended:?}");
    }
    assert_eq!(fails.0, "failed");
    assert!(
        fails
            .1
            .contains("ERROR:  batch is 0, it must be from 1 to 10000"),
        "{fails:?}"
    );
    assert!(fails.1.contains("HINT:"), "{fails:?}");
    assert_eq!(not_alone.0, "failed");
    assert!(
        not_alone.1.contains("can't run inside a transaction block"),
        "{not_alone:?}"
    );

    // Together the two forms did the work, each row once.
    assert_eq!(filled(&mut session, "memory_logs"), 487);
    assert_eq!(db.api.stats().texts, 487 + 1);
    let runs = "SELECT coalesce(sum(embedded), 0)::bigint FROM embedding_backfill.runs WHERE relation = 'memory_logs'::regclass AND state = 'done'";
    assert_eq!(session.number(runs), 487);
    let nightly = "SELECT count(*) FROM embedding_backfill.runs WHERE function = 'embed_all_missing' AND relation = 'memory_logs'::regclass";
    assert!(session.number(nightly) <= 2);
    // The one that was sent away took no time and left no trace.
    assert_eq!(
        session.number(
            "SELECT count(*) FROM embedding_backfill.runs WHERE relation = 'logs'::regclass"
        ),
        1
    );
    let seconds = format!(
        "SELECT ceil(extract(epoch FROM end_time - start_time))::bigint FROM cron.job_run_details WHERE command = '{}' ORDER BY runid LIMIT 1",
        OVERLAPS.replace('\'', "''")
    );
    assert!(session.number(&seconds) <= 5);
    println!("{ended:?}");
}
