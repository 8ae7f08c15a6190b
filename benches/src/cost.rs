//! What a run costs the server: CPU and WAL a row beside the pure SQL update, memory, and the snapshots that others see.

use crate::{
    Bench,
    lab::{DIMENSIONS, Lab, Work, call},
    measure::{Measure, Unit, thousands},
    rivals::Rounds,
    snapshot,
    watch::Looks,
};

/// Two sizes, since memory that grows with the table must show.
const MEMORY_ROWS: [u32; 2] = [20_000, 100_000];
const SNAPSHOT_ROWS: u32 = 16_000;

pub fn measure(bench: &Bench) -> Vec<Measure> {
    let mut measures = cpu_and_wal(bench.rounds());
    measures.extend(memory(bench));
    measures.extend(snapshots(bench));
    measures
}

fn cpu_and_wal(rounds: &Rounds) -> Vec<Measure> {
    let Rounds { update, call, .. } = rounds;
    let each = |work: &[Work], of: fn(&Work) -> f64| -> Vec<f64> {
        work.iter()
            .map(|work| of(work) / f64::from(work.rows))
            .collect()
    };
    let micros = |key: &str, name: &str, work: &[Work], of: fn(&Work) -> f64| {
        let samples = each(work, of).iter().map(|seconds| seconds * 1e6).collect();
        Measure::of(key, name, Unit::Micros, samples)
    };
    let kilobytes = |key: &str, name: &str, work: &[Work]| {
        let samples = each(work, |work| work.wal_bytes);
        let samples = samples.iter().map(|bytes| bytes / 1e3).collect();
        Measure::of(key, name, Unit::Kilobytes, samples)
    };
    vec![
        micros(
            "cost.main_cpu",
            "CPU a row, backend's own thread",
            call,
            |work| work.backend.main,
        ),
        micros("cost.worker_cpu", "  its worker threads", call, |work| {
            work.backend.workers
        }),
        micros("cost.update_cpu", "  pure SQL", update, |work| {
            work.backend.all()
        }),
        micros("cost.api_cpu", "  the stand-in", call, |work| work.api_cpu),
        kilobytes("cost.wal", "WAL a row", call),
        kilobytes("cost.update_wal", "  pure SQL", update),
    ]
}

fn memory(bench: &Bench) -> Vec<Measure> {
    let sizes = MEMORY_ROWS.map(|rows| bench.options.rows(rows));
    let lab = Lab::new(&bench.cluster, sizes[1], &[]);
    let mut measures = Vec::new();
    for rows in sizes {
        lab.fresh_items(rows);
        let looks = Looks::while_it_works(&mut lab.db.session(), |session| call(session, rows));
        measures.push(over_idle(rows, DIMENSIONS, vec![looks.growth()]));
    }
    measures
}

/// The memory of a backend that filled a table of this size.
pub fn over_idle(rows: u32, dimensions: u32, megabytes: Vec<f64>) -> Measure {
    Measure::of(
        format!("cost.memory.{rows}"),
        format!(
            "memory over idle, {} rows of {dimensions}",
            thousands(rows.into())
        ),
        Unit::Megabytes,
        megabytes,
    )
    .at_most(64.0, 32.0)
}

fn snapshots(bench: &Bench) -> Vec<Measure> {
    let rows = bench.options.rows(SNAPSHOT_ROWS);
    let lab = Lab::new(&bench.cluster, rows, &["--latency-ms", "300"]);
    lab.fresh_items(rows);
    let seen = snapshot::seen(&mut lab.db.session(), &mut lab.db.session(), |session| {
        call(session, rows)
    });
    vec![
        Measure::of(
            "cost.snapshot",
            "oldest snapshot seen, 300 ms latency",
            Unit::Millis,
            vec![seen.oldest_ms],
        ),
        Measure::of(
            "cost.snapshot_share",
            "  time with any snapshot",
            Unit::Percent,
            vec![seen.percent],
        ),
    ]
}
