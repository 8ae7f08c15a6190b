//! What the extension reaches of what a server, an API and its quota allow: measured on a private server and the stand-in for
//! Google's API, in ratios within one run. Nothing here is asserted; what is missed is said.

mod alone;
mod api;
mod cancel;
mod ceiling;
mod cost;
mod cpu;
mod lab;
mod latency;
mod machine;
mod measure;
mod options;
mod outcome;
mod plot;
mod quota;
mod rivals;
mod samples;
mod script;
mod slope;
mod snapshot;
mod table;
mod watch;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::ExitCode,
    sync::OnceLock,
    time::Instant,
};

use support::{Cluster, Process, Session};

use cpu::Watch;
use machine::Machine;
use measure::{Measure, thousands};
use options::Options;
use outcome::Outcome;
use rivals::Rounds;

type Part = (&'static str, fn(&Bench) -> Vec<Measure>);

const PARTS: [Part; 8] = [
    ("alone", alone::measure),
    ("ceiling", ceiling::measure),
    ("script", script::measure),
    ("latency", latency::measure),
    ("quota", quota::measure),
    ("slope", slope::measure),
    ("cost", cost::measure),
    ("cancel", cancel::measure),
];

/// MB of WAL that the largest part writes.
const WAL: u32 = 2000;

pub struct Bench {
    pub cluster: Cluster,
    pub options: Options,
    rounds: OnceLock<Rounds>,
}

impl Bench {
    /// What several parts look at; made by the first that asks.
    pub fn rounds(&self) -> &Rounds {
        self.rounds.get_or_init(|| Rounds::run(self))
    }
}

fn main() -> ExitCode {
    let options = match Options::from_environment(&PARTS.map(|(name, _)| name)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(2);
        }
    };
    let bench = Bench {
        cluster: lab::cluster(),
        options,
        rounds: OnceLock::new(),
    };
    let machine = Machine::look(&bench.cluster);
    lab::warm_wal(&bench.cluster, bench.options.times(WAL));
    println!("{}", machine.line());

    let mut failed = Vec::new();
    let mut outcomes = Vec::new();
    for (part, measure) in PARTS {
        if bench.options.wants(part) {
            match run(&bench, part, measure) {
                Some(outcome) => outcomes.push(outcome),
                None => failed.push(part),
            }
        }
    }
    report(&bench.options, &machine, &outcomes);
    for part in &failed {
        println!("failed: {part}");
    }
    ExitCode::from(u8::from(!failed.is_empty()))
}

/// One part; where it fails, the others are worth having all the same.
fn run(bench: &Bench, part: &'static str, measure: fn(&Bench) -> Vec<Measure>) -> Option<Outcome> {
    eprintln!("==> {part}");
    let mut session = Session::connect(bench.cluster.config("postgres", "postgres"));
    let server = cpu::parent(Process::of(&mut session).pid());
    drop(session);
    let (watch, began) = (Watch::begin(&[server]), Instant::now());
    let measures = catch_unwind(AssertUnwindSafe(|| measure(bench))).ok()?;
    Some(Outcome {
        part,
        seconds: began.elapsed().as_secs_f64(),
        disturbance: watch.end(),
        measures,
    })
}

fn report(options: &Options, machine: &Machine, outcomes: &[Outcome]) {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let target = root.join("target");
    fs::create_dir_all(&target).expect("target/ is writable");
    outcome::write(&target, options, machine, outcomes);
    println!("\n{}", table::text(outcomes));
    println!("{}", machine.line());
    let seconds: f64 = outcomes.iter().map(|outcome| outcome.seconds).sum();
    println!(
        "{} s, target/bench.json, target/bench.md",
        thousands(seconds.abs())
    );

    let disturbed: Vec<String> = outcomes.iter().filter_map(Outcome::disturbed).collect();
    let unfit = match () {
        () if !options.complete() => {
            Some("not all parts, not at full size, or fewer than 5 rounds")
        }
        () if outcomes.len() < PARTS.len() => Some("a part has failed"),
        () if !disturbed.is_empty() => Some("it was disturbed"),
        () => None,
    };
    if let Some(picture) = plot::draw(outcomes, machine) {
        let path = match unfit {
            Some(_) => "target/speed.svg",
            None => "docs/speed.svg",
        };
        fs::write(root.join(path), picture).expect("the checkout is writable");
        println!("{path}");
    }
    if let Some(reason) = unfit {
        println!("not for README: {reason}");
    }
    for line in disturbed {
        println!("disturbed: {line}");
    }
    for measure in outcomes.iter().flat_map(Outcome::missed) {
        println!("missed: {}", measure.name.trim());
    }
}
