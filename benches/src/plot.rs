//! The one picture for README: how much of what is possible a run reaches, and where a script stands beside it. An SVG that
//! follows the reader's light or dark theme and asks for no font.

use std::fmt::Write;

use crate::{
    machine::Machine,
    measure::{Measure, thousands},
    outcome::Outcome,
};

const WIDTH: f64 = 800.0;
const TRACK: f64 = 340.0;
const TRACK_LEFT: f64 = 256.0;
const BAR: f64 = 20.0;

const STYLE: &str = "\
    text { font: 14px system-ui, sans-serif; fill: #1f2328 }\n\
    .title { font-size: 17px; font-weight: 600 }\n\
    .head { font-weight: 600 }\n\
    .less { font-size: 12.5px; fill: #59636e }\n\
    .track { fill: #818b98; fill-opacity: .18 }\n\
    .call { fill: #2f6fd6 }\n\
    .script { fill: #818b98 }\n\
    .limit { stroke: #59636e; stroke-width: 1.5 }\n\
    @media (prefers-color-scheme: dark) {\n\
      text { fill: #e6edf3 }\n\
      .less { fill: #9198a1 }\n\
      .call { fill: #5b9bff }\n\
      .limit { stroke: #9198a1 }\n\
    }";

/// Bars against one limit.
struct Group {
    head: String,
    /// What all of it would be.
    limit: String,
    bars: Vec<Bar>,
}

struct Bar {
    class: &'static str,
    label: &'static str,
    share: f64,
    rate: Option<f64>,
}

/// Of the parts that were measured; nothing where none of them belongs into it.
pub fn draw(outcomes: &[Outcome], machine: &Machine) -> Option<String> {
    let value = |key: &str| {
        let measures = outcomes.iter().flat_map(|outcome| &outcome.measures);
        measures
            .into_iter()
            .find(|measure| measure.key == key)
            .map(|measure: &Measure| measure.value)
    };
    let groups: Vec<Group> = [at_once(&value), with_latency(&value), under_quota(&value)]
        .into_iter()
        .flatten()
        .collect();
    (!groups.is_empty()).then(|| svg(&groups, &machine.short()))
}

fn at_once(value: &impl Fn(&str) -> Option<f64>) -> Option<Group> {
    let update = value("ceiling.update")?;
    let mut bars = vec![Bar {
        share: value("ceiling.share")?,
        ..Bar::of_call(value("ceiling.call")?, update)
    }];
    bars.extend(value("script.rate").map(|rate| Bar::of_script(rate, update)));
    Some(Group {
        head: "The API answers at once".to_owned(),
        limit: format!(
            "100 % is one UPDATE with vectors that are already there: {} rows/s",
            thousands(update)
        ),
        bars,
    })
}

fn with_latency(value: &impl Fn(&str) -> Option<f64>) -> Option<Group> {
    let limit = value("latency.limit")?;
    let mut bars = vec![Bar::of_call(value("latency.call")?, limit)];
    bars.extend(value("latency.script").map(|rate| Bar::of_script(rate, limit)));
    Some(Group {
        head: "The API answers after 0.3 s".to_owned(),
        limit: format!(
            "100 % is 8 requests of 100 texts at a time: {} rows/s",
            thousands(limit)
        ),
        bars,
    })
}

fn under_quota(value: &impl Fn(&str) -> Option<f64>) -> Option<Group> {
    Some(Group {
        head: "The API has a quota".to_owned(),
        limit: "100 % is the quota: 3,000 texts a minute, learned from its first 429".to_owned(),
        bars: vec![Bar {
            rate: None,
            ..Bar::of_call(value("quota.used")?, 1.0)
        }],
    })
}

impl Bar {
    fn of_call(rate: f64, limit: f64) -> Bar {
        Bar {
            class: "call",
            label: "CALL embed_all_missing",
            share: rate / limit,
            rate: Some(rate),
        }
    }

    fn of_script(rate: f64, limit: f64) -> Bar {
        Bar {
            class: "script",
            label: "script in Python",
            ..Bar::of_call(rate, limit)
        }
    }
}

fn svg(groups: &[Group], machine: &str) -> String {
    let mut body = String::new();
    let text = |class: &str, x: f64, y: f64, words: &str| {
        let words = escape(words);
        format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{words}</text>\n")
    };
    let mut y = 28.0;
    body += &text(
        "title",
        16.0,
        y,
        "Rows per second, as a share of what is possible",
    );
    for group in groups {
        y += 40.0;
        body += &text("head", 16.0, y, &group.head);
        body += &text("less", TRACK_LEFT, y, &group.limit);
        y += 10.0;
        let top = y;
        for bar in &group.bars {
            let length = (bar.share * TRACK).clamp(1.0, TRACK);
            let (middle, class) = (y + BAR / 2.0 + 5.0, bar.class);
            body += &text("bar", 28.0, middle, bar.label);
            let _ = writeln!(
                body,
                "<rect class=\"track\" x=\"{TRACK_LEFT}\" y=\"{y}\" width=\"{TRACK}\" height=\"{BAR}\" rx=\"2\"/>\n\
                 <rect class=\"{class}\" x=\"{TRACK_LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\"/>"
            );
            let percent = format!("{:.0} %", bar.share * 100.0);
            body += &text("head", TRACK_LEFT + TRACK + 12.0, middle, &percent);
            if let Some(rate) = bar.rate {
                let rate = format!("{} rows/s", thousands(rate));
                body += &text("less", TRACK_LEFT + TRACK + 64.0, middle, &rate);
            }
            y += BAR + 6.0;
        }
        let (end, bottom) = (TRACK_LEFT + TRACK, y - 6.0);
        let _ = writeln!(
            body,
            "<line class=\"limit\" x1=\"{end}\" x2=\"{end}\" y1=\"{}\" y2=\"{}\"/>",
            top - 3.0,
            bottom + 3.0
        );
    }
    y += 28.0;
    body += &text("less", 16.0, y, machine);
    let height = y + 16.0;
    let said = groups.iter().flat_map(|group| {
        let say = |bar: &Bar| format!("{}: {} {:.0} %", group.head, bar.label, bar.share * 100.0);
        group.bars.iter().map(say).collect::<Vec<_>>()
    });
    let words = escape(&said.collect::<Vec<_>>().join("; "));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>{words}</title>\n<style>\n{STYLE}\n</style>\n{body}</svg>\n"
    )
}

fn escape(words: &str) -> String {
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        let group = Group {
            head: "<A & B>".to_owned(),
            limit: String::new(),
            bars: vec![Bar::of_call(500.0, 1000.0), Bar::of_script(2000.0, 1000.0)],
        };
        let svg = svg(&[group], "machine");
        assert!(
            svg.contains("class=\"call\" x=\"256\" y=\"78\" width=\"170.0\""),
            "{svg}"
        );
        assert!(
            svg.contains("width=\"340.0\""),
            "nothing is longer than its track"
        );
        assert!(
            svg.contains("&lt;A &amp; B&gt;") && !svg.contains("<A"),
            "{svg}"
        );
    }
}
