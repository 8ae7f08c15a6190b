//! Whether a row costs the same at the end of a run as at its beginning: seconds and blocks a row in the first and the last
//! tenth of 10,000, 100,000 and a million rows. Vectors of 128 values, so that a million fit disk and time, and since any
//! cost that grows with the table shows the more the less a row costs.

use support::{Db, Session};

use crate::{
    Bench, cost,
    lab::{BATCH, Lab},
    measure::{Measure, Unit, thousands},
    watch::Looks,
};

const SIZES: [u32; 3] = [10_000, 100_000, 1_000_000];
const DIMENSIONS: u32 = 128;

/// What a row costs in a tenth, or what it costs in the last one over the first. CPU is all of the backend's: on a busy machine
/// it tells what seconds don't.
struct Slope {
    seconds: f64,
    blocks: f64,
    cpu: f64,
}

pub fn measure(bench: &Bench) -> Vec<Measure> {
    let mut measures = Vec::new();
    let lab = Lab::new(&bench.cluster, 0, &[]);
    let mut sizes = SIZES
        .map(|size| bench.options.rows(size).max(SIZES[0]))
        .to_vec();
    sizes.dedup();
    for rows in sizes {
        let (mut slopes, mut growth) = (Vec::new(), Vec::new());
        for _ in 0..bench.options.rounds {
            prepare(&mut lab.db.session(), rows);
            let looks = Looks::while_it_works(&mut lab.db.session(), |session| {
                let finished = session
                    .embed_all(&format!("'logs', {BATCH}"))
                    .unwrap_or_else(|error| panic!("{error:?}"));
                assert_eq!(finished.embedded, i64::from(rows));
            });
            growth.push(looks.growth());
            slopes.push(slope(&lab.db, rows, &looks));
        }
        measures.extend(of_size(rows, &slopes));
        measures.push(cost::over_idle(rows, DIMENSIONS, growth));
    }
    measures
}

fn of_size(rows: u32, slopes: &[Slope]) -> Vec<Measure> {
    let of = |key: &str, name: &str, of: fn(&Slope) -> f64| {
        Measure::of(
            format!("slope.{key}.{rows}"),
            name,
            Unit::Share,
            slopes.iter().map(of).collect(),
        )
    };
    let name = format!("last tenth over first, s a row, {}", thousands(rows.into()));
    let mut measures = vec![
        of("seconds", &name, |slope| slope.seconds).at_most(1.10, 1.03),
        of("blocks", "  blocks a row", |slope| slope.blocks).at_most(1.10, 1.03),
    ];
    // In fewer rows the kernel counts too little of it.
    if rows >= 100_000 {
        measures.push(of("cpu", "  CPU a row", |slope| slope.cpu));
    }
    measures
}

/// A table that notes, with each batch, the time and the blocks that the backend has read for it. Others would learn of the
/// blocks only when the CALL is over.
fn prepare(session: &mut Session, rows: u32) {
    session.run(&format!(
        "DROP TABLE IF EXISTS logs, samples;
         CREATE TABLE logs (id bigint PRIMARY KEY, body text, embedding vector({DIMENSIONS}));
         INSERT INTO logs SELECT i, 'entry ' || i || ': ' || md5(i::text) || ' ' || md5((-i)::text)
         FROM generate_series(1, {rows}) AS i;
         CREATE UNLOGGED TABLE samples (at timestamptz, rows bigint, blocks bigint);
         CREATE OR REPLACE FUNCTION sample() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO samples
             SELECT clock_timestamp(), pg_stat_get_xact_tuples_updated('logs'::regclass),
                    sum(pg_stat_get_xact_blocks_fetched(oid))
             FROM (SELECT 'logs'::regclass::oid
                   UNION SELECT indexrelid FROM pg_index WHERE indrelid = 'logs'::regclass
                   UNION SELECT reltoastrelid FROM pg_class WHERE oid = 'logs'::regclass) AS parts (oid);
             RETURN NULL;
         END $$;
         CREATE TRIGGER sample AFTER UPDATE ON logs FOR EACH STATEMENT EXECUTE FUNCTION sample()"
    ));
    session.run("VACUUM (FREEZE, ANALYZE) logs");
    session.run("CHECKPOINT");
}

fn slope(db: &Db, rows: u32, looks: &Looks) -> Slope {
    let mut session = db.session();
    assert_eq!(
        session.number("SELECT max(rows) FROM samples"),
        i64::from(rows),
        "the counts of the backend did not last for the whole CALL"
    );
    let mut tenth = |which: &str| {
        let query = format!(
            "SELECT (max(rows) - min(rows))::float8, extract(epoch FROM min(at))::float8,
                    extract(epoch FROM max(at))::float8, (max(blocks) - min(blocks))::float8
             FROM samples WHERE {which}"
        );
        let row = session
            .query_one(&query, &[])
            .unwrap_or_else(|error| panic!("{error:?}"));
        let (rows, from, to): (f64, f64, f64) = (row.get(0), row.get(1), row.get(2));
        Slope {
            seconds: (to - from) / rows,
            blocks: row.get::<_, f64>(3) / rows,
            cpu: looks.cpu(from, to) / rows,
        }
    };
    let first = tenth(&format!("rows <= {rows} / 10"));
    let last = tenth(&format!("rows >= {rows} - {rows} / 10"));
    Slope {
        seconds: last.seconds / first.seconds,
        blocks: last.blocks / first.blocks,
        cpu: last.cpu / first.cpu,
    }
}
