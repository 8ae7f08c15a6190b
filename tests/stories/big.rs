//! A table so big that what grows with it would show: blocks read for a row, memory, threads, pipes and sockets. The size is
//! 40,000 rows, or what `EB_BIG` says; at some 100,000 the primary key grows by a level, which is a block more for each row.

use std::{
    thread::{self, sleep},
    time::Duration,
};

use support::{Db, Finished, Process, timed};

use crate::{
    fixtures::{right, told},
    load::Load,
};

/// What a run may gain in memory between its first tenth and its end, in kB.
const MOST_GROWTH: u64 = 16 * 1024;

#[test]
fn a_big_table_costs_the_same_for_each_row() {
    let rows = told("EB_BIG", 40_000);
    let db = Db::fresh();
    // Millions of texts that are kept would be the stand-in's memory, in this process; nobody looks at them.
    db.api.set(|config| config.record = false);
    let mut session = db.session();
    session.run(&format!(
        "CREATE TABLE logs (id bigint PRIMARY KEY, body text, embedding vector(128)) WITH (autovacuum_enabled = off);
         INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(1, {rows}) i;
         CREATE TABLE samples (rows bigint, blocks bigint);"
    ));
    // The server adds up what a backend has read only when its statement is over, so the backend has to tell it itself.
    session.run(
        "CREATE FUNCTION sample() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO samples
             SELECT pg_stat_get_xact_tuples_updated('logs'::regclass), sum(pg_stat_get_xact_blocks_fetched(oid))
             FROM (SELECT 'logs'::regclass::oid
                   UNION SELECT indexrelid FROM pg_index WHERE indrelid = 'logs'::regclass
                   UNION SELECT reltoastrelid FROM pg_class WHERE oid = 'logs'::regclass) AS parts (oid);
             RETURN NULL;
         END $$;
         CREATE TRIGGER sample AFTER UPDATE ON logs FOR EACH STATEMENT EXECUTE FUNCTION sample();
         ANALYZE logs; CHECKPOINT",
    );

    let mut caller = db.session();
    let backend = Process::of(&mut caller);
    let (early, late) = thread::scope(|scope| {
        let call = scope.spawn(|| timed(|| caller.embed_all("'logs', 100").unwrap()));
        let a_tenth = db.api.wait_until(Duration::from_secs(600), |stats| {
            stats.texts_billed >= rows / 10
        });
        assert!(a_tenth, "{:?}", db.api.stats());
        let early = Load::of(backend);
        let mut late = early;
        // Behind the last answer nothing is in flight any more, and there are no threads to count.
        while !call.is_finished() && db.api.stats().texts_billed < rows {
            late = late.then(Load::of(backend));
            sleep(Duration::from_millis(50));
        }
        let (finished, took) = call.join().unwrap();
        println!(
            "{rows} rows in {took:.1?}, {:.0} rows/s",
            rows as f64 / took.as_secs_f64()
        );
        assert_eq!(finished, Finished::done(rows as i64, 0));
        (early, late)
    });
    println!(
        "at 10%: {early:?}, at the end: {late:?}, {:?}",
        db.api.stats()
    );

    assert_eq!(
        session.number("SELECT max(rows) FROM samples"),
        rows as i64,
        "the counts of the backend did not last for the whole CALL"
    );
    let costs = blocks_for_each_row(&mut session, rows);
    println!("blocks for each row, by tenths from 10% to 90%: {costs:.2?}");
    let (least, most) = costs
        .iter()
        .fold((f64::MAX, 0.0f64), |(least, most), &cost| {
            (least.min(cost), most.max(cost))
        });
    assert!(most <= 1.1 * least, "{costs:?}");
    assert!(
        late.memory_kb <= early.memory_kb + MOST_GROWTH,
        "{early:?} {late:?}"
    );
    assert!(late.threads <= early.threads + 1, "{early:?} {late:?}");
    assert!(
        late.pipes_and_sockets <= early.pipes_and_sockets + 1,
        "{early:?} {late:?}"
    );
    assert_eq!(
        right(
            &mut session,
            "(SELECT * FROM logs WHERE id % 997 = 0) AS sample"
        ) as u64,
        rows / 997
    );
}

/// Blocks read for each row while the second, third … ninth tenth of the rows was filled.
fn blocks_for_each_row(session: &mut support::Session, rows: u64) -> Vec<f64> {
    let query = format!(
        "SELECT (max(blocks) - min(blocks))::float8 / (max(rows) - min(rows))
         FROM samples WHERE rows BETWEEN {rows} / 10 AND {rows} * 9 / 10
         GROUP BY rows * 10 / {rows} HAVING count(*) > 1 ORDER BY rows * 10 / {rows}"
    );
    let rows = session.query(&query, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
