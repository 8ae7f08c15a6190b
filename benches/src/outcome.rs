//! What became of a part, and what was written down of all of them.

use std::{fs, path::Path};

use serde_json::{Map, Value, json};

use crate::{
    cpu::Disturbance,
    machine::Machine,
    measure::{Measure, Verdict},
    options::Options,
    table,
};

/// Where more of the machine's cores than this were busy with something else, a part is called disturbed.
const CALM: f64 = 0.03;

pub struct Outcome {
    pub part: &'static str,
    pub seconds: f64,
    pub disturbance: Disturbance,
    pub measures: Vec<Measure>,
}

impl Outcome {
    /// What others did to it, where that was much.
    pub fn disturbed(&self) -> Option<String> {
        let Disturbance { programs, stolen } = self.disturbance;
        (programs + stolen > CALM).then(|| {
            format!(
                "{}: other programs took {:.1} % of the cores, other machines {:.1} %",
                self.part,
                programs * 100.0,
                stolen * 100.0
            )
        })
    }

    pub fn missed(&self) -> impl Iterator<Item = &Measure> {
        self.measures
            .iter()
            .filter(|measure| measure.verdict() == Some(Verdict::Missed))
    }

    fn json(&self) -> Value {
        let measures: Map<String, Value> = self
            .measures
            .iter()
            .map(|measure| (measure.key.clone(), measure.json()))
            .collect();
        json!({
            "part": self.part,
            "seconds": self.seconds,
            "foreign_cpu": self.disturbance.programs,
            "stolen_cpu": self.disturbance.stolen,
            "measures": measures,
        })
    }
}

/// Leaves `bench.json` and `bench.md` in the directory.
pub fn write(directory: &Path, options: &Options, machine: &Machine, outcomes: &[Outcome]) {
    let json = json!({
        "machine": machine.json(),
        "rounds": options.rounds,
        "scale": options.scale,
        "complete": options.complete(),
        "parts": outcomes.iter().map(Outcome::json).collect::<Vec<_>>(),
    });
    let json = serde_json::to_string_pretty(&json).expect("it is JSON");
    let page = format!(
        "{}\n{} Taken on {} at {}, medians of {}.\n",
        table::markdown(outcomes),
        machine.line(),
        machine.date,
        machine.commit,
        options.rounds
    );
    for (name, content) in [("bench.json", json + "\n"), ("bench.md", page)] {
        fs::write(directory.join(name), content).expect("target/ is writable");
    }
}
