//! How much of an API's latency is hidden: rows a second over what 8 requests of 100 texts allow when each takes 0.3 s.

use crate::{
    Bench,
    lab::{BATCH, CONCURRENCY, Lab},
    measure::{Measure, Unit},
    script,
};

/// Fifty waves, so that the first and the last don't count for much.
const ROWS: u32 = 40_000;
/// The script's share is the same with fewer, and it takes its time.
const SCRIPT_ROWS: u32 = 16_000;
const LATENCY_MS: u32 = 300;

pub fn measure(bench: &Bench) -> Vec<Measure> {
    let limit = f64::from(CONCURRENCY * BATCH) / f64::from(LATENCY_MS) * 1e3;
    let (rows, script_rows) = (bench.options.rows(ROWS), bench.options.rows(SCRIPT_ROWS));
    let latency = LATENCY_MS.to_string();
    let lab = Lab::new(&bench.cluster, rows, &["--latency-ms", &latency]);
    let (mut call, mut by_script) = (Vec::new(), Vec::new());
    for _ in 0..bench.options.rounds {
        lab.fresh_items(rows);
        call.push(lab.call(rows).rate());
        if bench.options.wants("script") {
            lab.fresh_items(script_rows);
            by_script.push(script::work(&lab, script_rows).rate());
        }
    }
    let share = |rates: &[f64]| rates.iter().map(|rate| rate / limit).collect::<Vec<_>>();
    let mut measures = vec![
        Measure::of(
            "latency.share",
            "rows/s with 300 ms latency, share of the limit",
            Unit::Share,
            share(&call),
        )
        .at_least(0.95, 0.98),
        Measure::of("latency.limit", "  limit, rows/s", Unit::Rate, vec![limit]),
        Measure::of("latency.call", "  rows/s of CALL", Unit::Rate, call),
    ];
    if !by_script.is_empty() {
        measures.push(Measure::of(
            "latency.script",
            "  rows/s of the script",
            Unit::Rate,
            by_script,
        ));
    }
    measures
}
