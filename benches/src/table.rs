//! The result as a person reads it: a table that fits 100 columns, and the same for a page.

use crate::{
    measure::{Bound, Measure, Verdict},
    outcome::Outcome,
};

pub const WIDTH: usize = 100;
const NAME: usize = 50;

/// For a terminal.
pub fn text(outcomes: &[Outcome]) -> String {
    let mut text = line("measure", ["value", "must", "aim"], "met?");
    text += &("-".repeat(WIDTH - 2) + "\n");
    for measure in measures(outcomes) {
        let met = match measure.verdict() {
            None => "",
            Some(Verdict::Missed) => "NO",
            Some(Verdict::Met) => "yes",
            Some(Verdict::AimMet) => "yes, aim",
        };
        let [value, must, aim] = cells(measure);
        text += &line(&measure.name, [&value, &must, &aim], met);
    }
    text
}

fn line(name: &str, [value, must, aim]: [&str; 3], met: &str) -> String {
    let line = format!("{name:<NAME$} {value:>12} {must:>11} {aim:>11}  {met:<8}");
    line.trim_end().to_owned() + "\n"
}

/// For a page.
pub fn markdown(outcomes: &[Outcome]) -> String {
    let mut text = "| measure | value | must | aim |\n| --- | ---: | ---: | ---: |\n".to_owned();
    for measure in measures(outcomes) {
        let [value, must, aim] = cells(measure);
        let value = match measure.verdict() {
            Some(Verdict::Missed) => format!("{value}, missed"),
            _ => value,
        };
        let name = measure.name.replace("  ", "&emsp;");
        text += &format!("| {name} | {value} | {must} | {aim} |\n");
    }
    text
}

fn measures(outcomes: &[Outcome]) -> impl Iterator<Item = &Measure> {
    outcomes.iter().flat_map(|outcome| &outcome.measures)
}

/// Value, must, aim.
fn cells(measure: &Measure) -> [String; 3] {
    let limit = |of: fn(&Bound) -> f64| match &measure.bound {
        Some(bound) => format!("{} {}", bound.sign(), measure.unit.say_limit(of(bound))),
        None => String::new(),
    };
    [
        measure.unit.say(measure.value),
        limit(|bound| bound.must),
        limit(|bound| bound.aim),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cpu::Disturbance, measure::Unit};

    fn outcomes() -> Vec<Outcome> {
        let measures = vec![
            Measure::of("a", "a".repeat(NAME), Unit::Rate, vec![1_234_567.0])
                .at_least(40_000.0, 50_000.0),
            Measure::of("b", "  explained", Unit::Millis, vec![250.0]).at_most(200.0, 60.0),
        ];
        vec![Outcome {
            part: "part",
            seconds: 1.0,
            disturbance: Disturbance::default(),
            measures,
        }]
    }

    #[test]
    fn the_table_fits_a_terminal_and_says_what_is_missed() {
        let text = text(&outcomes());
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[2].ends_with("≥ 40,000    ≥ 50,000  yes, aim"),
            "{text}"
        );
        assert!(lines[3].ends_with("≤ 200 ms     ≤ 60 ms  NO"), "{text}");
    }

    #[test]
    fn the_page_says_so_too() {
        let page = markdown(&outcomes());
        let line = "| &emsp;explained | 250.0 ms, missed | ≤ 200 ms | ≤ 60 ms |";
        assert_eq!(page.lines().last(), Some(line));
    }
}
