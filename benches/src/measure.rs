//! One line of the result: a value with its samples, and what it must be at least or at most.

use serde_json::{Value, json};

use crate::samples::median;

pub struct Measure {
    /// Its name in the JSON, such as `ceiling.share`.
    pub key: String,
    /// Its name in the table.
    pub name: String,
    pub unit: Unit,
    pub value: f64,
    pub samples: Vec<f64>,
    pub bound: Option<Bound>,
}

#[derive(Clone, Copy)]
pub enum Unit {
    Share,
    Percent,
    Times,
    Rate,
    Micros,
    Millis,
    Count,
    Kilobytes,
    Megabytes,
}

#[derive(Clone, Copy)]
pub struct Bound {
    pub side: Side,
    pub must: f64,
    pub aim: f64,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Side {
    AtLeast,
    AtMost,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Missed,
    Met,
    AimMet,
}

impl Measure {
    /// The median of the samples.
    pub fn of(
        key: impl Into<String>,
        name: impl Into<String>,
        unit: Unit,
        samples: Vec<f64>,
    ) -> Measure {
        Measure {
            key: key.into(),
            name: name.into(),
            unit,
            value: median(&samples),
            samples,
            bound: None,
        }
    }

    /// Another value than the median of its samples.
    pub fn valued(self, value: f64) -> Measure {
        Measure { value, ..self }
    }

    pub fn at_least(self, must: f64, aim: f64) -> Measure {
        self.bound(Side::AtLeast, must, aim)
    }

    pub fn at_most(self, must: f64, aim: f64) -> Measure {
        self.bound(Side::AtMost, must, aim)
    }

    fn bound(self, side: Side, must: f64, aim: f64) -> Measure {
        let bound = Some(Bound { side, must, aim });
        Measure { bound, ..self }
    }

    pub fn verdict(&self) -> Option<Verdict> {
        self.bound.map(|bound| match () {
            () if bound.holds(bound.aim, self.value) => Verdict::AimMet,
            () if bound.holds(bound.must, self.value) => Verdict::Met,
            () => Verdict::Missed,
        })
    }

    pub fn json(&self) -> Value {
        json!({
            "name": self.name,
            "unit": self.unit.suffix().trim(),
            "value": self.value,
            "samples": self.samples,
            "must": self.bound.map(|bound| bound.must),
            "aim": self.bound.map(|bound| bound.aim),
            "bound": self.bound.map(|bound| bound.sign()),
            "met": self.verdict().map(|verdict| verdict != Verdict::Missed),
        })
    }
}

impl Bound {
    fn holds(&self, limit: f64, value: f64) -> bool {
        match self.side {
            Side::AtLeast => value >= limit,
            Side::AtMost => value <= limit,
        }
    }

    pub fn sign(&self) -> &'static str {
        match self.side {
            Side::AtLeast => "≥",
            Side::AtMost => "≤",
        }
    }
}

impl Unit {
    /// A value as a person reads it.
    pub fn say(self, value: f64) -> String {
        let number = match self.decimals() {
            0 => thousands(value),
            decimals => format!("{value:.decimals$}"),
        };
        number + self.suffix()
    }

    /// A limit, which is a round number.
    pub fn say_limit(self, value: f64) -> String {
        let number = match value {
            1000.0.. => thousands(value),
            _ => value.to_string(),
        };
        number + self.suffix()
    }

    fn decimals(self) -> usize {
        match self {
            Unit::Share => 3,
            Unit::Kilobytes => 2,
            Unit::Percent | Unit::Times | Unit::Micros | Unit::Millis | Unit::Megabytes => 1,
            Unit::Rate | Unit::Count => 0,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Unit::Share | Unit::Rate | Unit::Count => "",
            Unit::Percent => " %",
            Unit::Times => " ×",
            Unit::Micros => " µs",
            Unit::Millis => " ms",
            Unit::Kilobytes => " kB",
            Unit::Megabytes => " MB",
        }
    }
}

/// A whole number with commas: 20,000.
pub fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_met_on_its_own_side() {
        let measure = |value| Measure::of("k", "n", Unit::Share, vec![value]);
        let verdict = |value| measure(value).at_least(0.5, 0.8).verdict();
        assert_eq!(verdict(0.49), Some(Verdict::Missed));
        assert_eq!(verdict(0.5), Some(Verdict::Met));
        assert_eq!(verdict(0.8), Some(Verdict::AimMet));
        let verdict = |value| measure(value).at_most(200.0, 60.0).verdict();
        assert_eq!(verdict(201.0), Some(Verdict::Missed));
        assert_eq!(verdict(200.0), Some(Verdict::Met));
        assert_eq!(verdict(60.0), Some(Verdict::AimMet));
        assert_eq!(measure(1.0).verdict(), None);
    }

    #[test]
    fn values_and_limits_carry_their_unit() {
        assert_eq!(Unit::Millis.say(12.34), "12.3 ms");
        assert_eq!(Unit::Rate.say(20_512.4), "20,512");
        assert_eq!(Unit::Share.say_limit(1.10), "1.1");
        assert_eq!(Unit::Rate.say_limit(40_000.0), "40,000");
        assert_eq!(Unit::Megabytes.say_limit(64.0), "64 MB");
    }

    #[test]
    fn numbers_have_commas() {
        assert_eq!(thousands(999.4), "999");
        assert_eq!(thousands(20_000.0), "20,000");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
    }
}
