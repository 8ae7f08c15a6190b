//! What a user would write instead: `script.py` beside this, run on the same table against the same API.

use std::process::Command;

use crate::{
    Bench,
    cpu::{Cpu, of_ended_children},
    lab::{Lab, Work},
    measure::{Measure, Unit},
    rivals::Rounds,
};

pub fn measure(bench: &Bench) -> Vec<Measure> {
    let Rounds { call, script, .. } = bench.rounds();
    let times = call
        .iter()
        .zip(script)
        .map(|(call, script)| call.rate() / script.rate());
    let rates = script.iter().map(Work::rate);
    vec![
        Measure::of(
            "script.times",
            "rows/s of CALL, times the script's",
            Unit::Times,
            times.collect(),
        )
        .at_least(3.0, 5.0),
        Measure::of(
            "script.rate",
            "  rows/s of the script",
            Unit::Rate,
            rates.collect(),
        ),
        Measure::of(
            "script.cpu",
            "  its own CPU a row",
            Unit::Micros,
            script
                .iter()
                .map(|work| work.client_cpu / f64::from(work.rows) * 1e6)
                .collect(),
        ),
    ]
}

/// The script's own time: from its first query to its last commit, without the start of Python.
pub fn work(lab: &Lab, rows: u32) -> Work {
    let python = std::env::var("BENCH_PYTHON").expect("BENCH_PYTHON names a Python with the SDK");
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/script.py"));
    support::clean(&mut command);
    command
        .env("DATABASE", lab.conninfo())
        .env("GEMINI_API_KEY", lab.db.key())
        .env("GEMINI_BASE_URL", lab.api.base_url())
        .env("NO_PROXY", "127.0.0.1");
    let (cpu, api) = (of_ended_children(), lab.api.cpu());
    let output = command.output().expect("python runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Work {
        rows,
        seconds: said.trim().parse().expect("the script says its seconds"),
        backend: Cpu::default(),
        client_cpu: of_ended_children() - cpu,
        api_cpu: lab.api.cpu() - api,
        wal_bytes: 0.0,
    }
}
