//! What the environment asks for: which parts, how many rounds, and a smaller size for those who work on the benchmark.

use std::env;

pub struct Options {
    /// Rounds of each comparison.
    pub rounds: usize,
    /// All sizes are multiplied by it; 1 is what the figures are taken at.
    pub scale: f64,
    only: Vec<String>,
}

impl Options {
    pub fn from_environment(parts: &[&str]) -> Result<Options, String> {
        let only: Vec<String> = set("ONLY")
            .unwrap_or_default()
            .split(',')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        if let Some(unknown) = only.iter().find(|part| !parts.contains(&part.as_str())) {
            return Err(format!("ONLY={unknown} is not known: {}", parts.join(", ")));
        }
        let options = Options {
            rounds: number("BENCH_ROUNDS", 5.0)? as usize,
            scale: number("BENCH_SCALE", 1.0)?,
            only,
        };
        match options.rounds > 0 && options.scale > 0.0 {
            true => Ok(options),
            false => Err("BENCH_ROUNDS and BENCH_SCALE must be above 0".to_owned()),
        }
    }

    pub fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == part)
    }

    /// Whether the figures are those that README may show.
    pub fn complete(&self) -> bool {
        self.only.is_empty() && self.scale == 1.0 && self.rounds >= 5
    }

    /// This many rows at full size, in whole hundreds.
    pub fn rows(&self, full: u32) -> u32 {
        ((f64::from(full) * self.scale / 100.0).round() as u32).max(1) * 100
    }

    /// This many repetitions at full size.
    pub fn times(&self, full: u32) -> u32 {
        ((f64::from(full) * self.scale).round() as u32).clamp(1, full)
    }
}

fn number(name: &str, default: f64) -> Result<f64, String> {
    match set(name) {
        Some(value) => value
            .parse()
            .map_err(|error| format!("{name}={value}: {error}")),
        None => Ok(default),
    }
}

fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
