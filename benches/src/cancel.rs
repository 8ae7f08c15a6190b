//! How long a cancel takes, from the moment another session asks for it to the error at the client of the CALL; at moments
//! spread over its waits and its writes.

use std::{
    thread::{self, sleep},
    time::{Duration, Instant},
};

use support::{Process, Session, denied, wait_until};

use crate::{
    Bench,
    lab::Lab,
    measure::{Measure, Unit},
    samples::percentile,
};

const CANCELS: u32 = 100;
const LATENCY_MS: u32 = 300;

pub fn measure(bench: &Bench) -> Vec<Measure> {
    let cancels = bench.options.times(CANCELS);
    let lab = Lab::new(
        &bench.cluster,
        0,
        &["--latency-ms", &LATENCY_MS.to_string()],
    );
    let mut other = lab.db.session();
    // No CALL comes far: each sends two waves at most.
    other.run(
        "CREATE TABLE items (id bigint PRIMARY KEY, content text, embedding vector(768));
         INSERT INTO items SELECT i, 'entry ' || i || repeat(' more', 80) FROM generate_series(1, 100000) AS i;
         ANALYZE items",
    );
    let times: Vec<f64> = (0..cancels)
        .map(|cancel| {
            let moment = Duration::from_millis(u64::from(LATENCY_MS * 2 * cancel / cancels));
            one(&mut lab.db.session(), &mut other, moment)
        })
        .collect();
    let (p50, p99) = (percentile(&times, 50.0), percentile(&times, 99.0));
    vec![
        Measure::of(
            "cancel.p99",
            "cancel, 99 of 100",
            Unit::Millis,
            times.clone(),
        )
        .valued(p99)
        .at_most(200.0, 60.0),
        Measure::of("cancel.p50", "  50 of 100", Unit::Millis, times).valued(p50),
    ]
}

/// In ms.
fn one(session: &mut Session, other: &mut Session, moment: Duration) -> f64 {
    let backend = Process::of(session).pid();
    thread::scope(|scope| {
        let call = scope.spawn(|| {
            let result = session.batch_execute("CALL embed_all_missing('items', 100)");
            (result, Instant::now())
        });
        let running = format!(
            "SELECT count(*) FROM embedding_backfill.runs WHERE state = 'running' AND pid = {backend}"
        );
        wait_until("the CALL runs", || other.number(&running) == 1);
        sleep(moment);
        let asked = Instant::now();
        other.run(&format!("SELECT pg_cancel_backend({backend})"));
        let (result, ended) = call.join().expect("the session does not panic");
        denied(result, "57014", "due to user request");
        (ended - asked).as_secs_f64() * 1e3
    })
}
