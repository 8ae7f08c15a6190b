//! How much of a quota is used, once a 429 has taught it, and how often the quota is fought. In real minutes, since the
//! extension thinks in them; several runs at a time, each with a quota of its own, since all they do is wait.

use std::{
    thread::{self, sleep},
    time::Duration,
};

use google_standin::{Config, Stats};
use support::{Cluster, Db, wait_until};

use crate::{
    Bench,
    measure::{Measure, Unit},
};

/// What Google gives the first tier that is paid for.
const TEXTS_PER_MINUTE: u64 = 3000;
const WINDOWS: u32 = 2;
const MINUTE: Duration = Duration::from_secs(60);
/// So small that the request at the edge of a window does not count for much.
const BATCH: u64 = 20;
const MOST_AT_A_TIME: usize = 8;

struct Use {
    /// Of what the windows allow.
    share: f64,
    /// Percent of the requests in these windows.
    refused: f64,
    /// Requests that got a 429 before the quota was known.
    lesson: f64,
}

pub fn measure(bench: &Bench) -> Vec<Measure> {
    let runs = bench.options.rounds.min(MOST_AT_A_TIME);
    let uses: Vec<Use> = thread::scope(|scope| {
        let threads: Vec<_> = (0..runs)
            .map(|_| scope.spawn(|| two_windows(&bench.cluster)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a run under a quota ends"))
            .collect()
    });
    let each = |of: fn(&Use) -> f64| uses.iter().map(of).collect::<Vec<_>>();
    vec![
        Measure::of(
            "quota.used",
            "quota used",
            Unit::Share,
            each(|used| used.share),
        )
        .at_least(0.95, 0.98),
        Measure::of(
            "quota.refused",
            "requests answered 429, once the quota is known",
            Unit::Percent,
            each(|used| used.refused),
        )
        .at_most(1.0, 0.2),
        Measure::of(
            "quota.lesson",
            "  requests answered 429 before that",
            Unit::Count,
            each(|used| used.lesson),
        ),
    ]
}

fn two_windows(cluster: &Cluster) -> Use {
    let db = Db::on(
        cluster,
        Config {
            texts_per_minute: Some(TEXTS_PER_MINUTE),
            ..Config::default()
        },
    );
    db.api.set(|config| config.record = false);
    let rows = u64::from(WINDOWS + 2) * TEXTS_PER_MINUTE;
    db.session().run(&format!(
        "CREATE TABLE items (id bigint PRIMARY KEY, content text, embedding vector(128));
         INSERT INTO items SELECT i, 'entry ' || i FROM generate_series(1, {rows}) AS i;
         ANALYZE items"
    ));
    let soon = |told: &dyn Fn(&Stats) -> bool| {
        let came = db
            .api
            .wait_until(MINUTE + Duration::from_secs(10), |stats| told(stats));
        assert!(came, "{:?}", db.api.stats());
        db.api.stats()
    };
    thread::scope(|scope| {
        let call = scope.spawn(|| db.session().embed_all(&format!("'items', {BATCH}")));
        soon(&|stats| stats.answered_429 > 0);
        // Requests that left before the first 429 came back may get one too.
        wait_until("nothing is in flight", || db.api.stats().in_flight == 0);
        let taught = db.api.stats();
        // A window opens with the first text behind the last one's end. What was refused before is the lesson.
        let opened = soon(&|stats| stats.texts_billed > taught.texts_billed);
        sleep(MINUTE * WINDOWS);
        let after = db.api.stats();
        db.session().run(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND query LIKE 'CALL %'",
        );
        call.join()
            .expect("the session does not panic")
            .expect_err("there are more rows than the quota allows");
        let allowed = u64::from(WINDOWS) * TEXTS_PER_MINUTE;
        let requests = after.requests - opened.requests;
        Use {
            share: (after.texts_billed - taught.texts_billed) as f64 / allowed as f64,
            refused: (after.answered_429 - opened.answered_429) as f64 / requests as f64 * 100.0,
            lesson: opened.answered_429 as f64,
        }
    })
}
