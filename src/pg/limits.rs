//! What a run may use: time, rows, tokens, money. What would pass a limit is not sent, so a limit is
//! never exceeded; what is in flight when one is reached is still written.

use std::time::{Duration, Instant};

use pgrx::datum::Interval;
use pgrx::prelude::*;

use super::error::Error;
use super::settings;
use crate::engine::tokens::Amount;
use crate::gemini::model::{Model, Price};

/// Why a run ended, as embed_all_missing says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    Duration,
    Rows,
    Tokens,
    Cost,
}

impl Reached {
    pub fn name(self) -> &'static str {
        match self {
            Reached::Duration => "max_duration",
            Reached::Rows => "max_rows",
            Reached::Tokens => "max_tokens",
            Reached::Cost => "max_cost",
        }
    }
}

#[derive(Debug, Default)]
pub struct Limits {
    pub deadline: Option<Instant>,
    rows: Option<u64>,
    /// Whichever is reached first.
    text: Vec<(Most, Reached)>,
    /// Rows and text that are spent or may be, as far as is known.
    rows_used: u64,
    used: Amount,
    rows_reserved: u64,
    reserved: Amount,
}

#[derive(Debug, Clone, Copy)]
enum Most {
    Tokens(u64),
    Characters(u64),
}

impl Most {
    fn is_passed(self, amount: Amount) -> bool {
        match self {
            Most::Tokens(most) => amount.tokens > most,
            Most::Characters(most) => amount.characters > most,
        }
    }
}

impl Limits {
    pub fn new(
        model: &Model,
        max_duration: Option<Interval>,
        max_rows: Option<i64>,
        max_tokens: Option<i64>,
        max_cost: Option<AnyNumeric>,
    ) -> Result<Limits, Error> {
        let deadline = deadline(max_duration)?;
        let rows = max_rows
            .map(|rows| at_least_one("max_rows", rows))
            .transpose()?;
        let tokens = max_tokens
            .map(|tokens| at_least_one("max_tokens", tokens))
            .transpose()?;
        let tokens = tokens.map(|tokens| (Most::Tokens(tokens), Reached::Tokens));
        let cost = max_cost.map(|cost| dollars(model, cost)).transpose()?;
        let cost = cost.map(|most| (most, Reached::Cost));
        Ok(Limits {
            deadline,
            rows,
            text: tokens.into_iter().chain(cost).collect(),
            ..Limits::default()
        })
    }

    /// Whether nothing sent now could be back in time, where answers take up to `answer`.
    pub fn out_of_time(&self, answer: Duration) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() + answer >= deadline)
    }

    /// Whether what is paid twice could pass a limit.
    pub fn on_tokens(&self) -> bool {
        !self.text.is_empty()
    }

    /// Time left, as long as there is any: what comes after a deadline is not hurried.
    pub fn until_deadline(&self) -> Duration {
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        self.deadline
            .map(left)
            .filter(|left| !left.is_zero())
            .unwrap_or(Duration::MAX)
    }

    /// Rows that may still be sent.
    pub fn rows_left(&self) -> u64 {
        let rows = self.rows.unwrap_or(u64::MAX);
        rows.saturating_sub(self.rows_used + self.rows_reserved)
    }

    /// Sets rows aside that have at most `text`, or says what stands against it.
    pub fn reserve(&mut self, rows: u64, text: Amount) -> Result<(), Reached> {
        if self.rows_left() < rows {
            return Err(Reached::Rows);
        }
        let all = self.used + self.reserved + text;
        if let Some((_, reached)) = self.text.iter().find(|(most, _)| most.is_passed(all)) {
            return Err(*reached);
        }
        self.rows_reserved += rows;
        self.reserved += text;
        Ok(())
    }

    /// Rows came back: `embedded` of them are used, and `used` of what was reserved for them.
    pub fn settle(&mut self, rows: u64, embedded: u64, reserved: Amount, used: Amount) {
        self.rows_reserved -= rows;
        self.rows_used += embedded;
        self.reserved -= reserved;
        self.used += used;
    }

    /// Requests that were given up after they were sent may have been billed all the same.
    pub fn may_be_billed(&mut self, text: Amount) {
        self.used += text;
    }
}

/// Of a run that has no other limit.
pub fn deadline(max_duration: Option<Interval>) -> Result<Option<Instant>, Error> {
    let duration = max_duration.map(duration).transpose()?;
    Ok(duration.and_then(|duration| Instant::now().checked_add(duration)))
}

fn at_least_one(name: &'static str, value: i64) -> Result<u64, Error> {
    match u64::try_from(value) {
        Ok(value @ 1..) => Ok(value),
        _ => Err(Error::Limit {
            name,
            value: value.to_string(),
        }),
    }
}

fn dollars(model: &Model, cost: AnyNumeric) -> Result<Most, Error> {
    let value = cost.to_string();
    match value.parse::<f64>() {
        Ok(dollars) if dollars > 0.0 && dollars.is_finite() => {
            // Free of charge is no limit.
            Ok(match settings::price(model) {
                Price::PerMillionTokens(price) => Most::Tokens((dollars * 1e6 / price) as u64),
                Price::PerMillionCharacters(price) => {
                    Most::Characters((dollars * 1e6 / price) as u64)
                }
            })
        }
        _ => Err(Error::Limit {
            name: "max_cost",
            value,
        }),
    }
}

fn duration(interval: Interval) -> Result<Duration, Error> {
    let micros = interval.as_micros();
    match u64::try_from(micros) {
        Ok(micros @ 1..) => Ok(Duration::from_micros(micros)),
        _ => Err(Error::Limit {
            name: "max_duration",
            value: format!("{} s", micros as f64 / 1e6),
        }),
    }
}
