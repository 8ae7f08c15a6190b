//! The price before anything is spent: what a run would send, what that costs, and how it is known.

use super::contents::Version;
use super::error::Error;
use super::journal;
use super::settings;
use super::space;
use super::survey;
use super::survey::Survey;
use super::target::Target;
use crate::engine::batch;
use crate::engine::tokens::{self, Amount};
use crate::gemini::request::Purpose;

/// Rows whose content is looked at; the others are taken to be like them.
const LOOKED_AT: usize = 1000;

/// Of their contents.
const BYTES_LOOKED_AT: usize = 32 * 1024 * 1024;

pub struct Price {
    pub survey: Survey,
    pub tokens: u64,
    pub requests: u64,
    /// US dollars.
    pub cost: f64,
    /// Rows that are embedded again first, to prove the column's vector space.
    pub sample: Vec<(Vec<f32>, String)>,
    /// The first of the contents that would be sent.
    pub contents: Vec<String>,
    /// Their first rows.
    pub versions: Vec<Version>,
}

pub fn of(target: &Target, purpose: &Purpose, batch: usize) -> Result<Price, Error> {
    let survey = survey::survey(target)?;
    let (contents, versions) = survey::some_contents(target, LOOKED_AT, BYTES_LOOKED_AT)?;
    let sample = match survey.pending > 0 && !journal::knows(target, purpose)? {
        true => space::sample(target)?,
        false => Vec::new(),
    };
    let expected = |text: &String| Amount {
        tokens: tokens::expected(purpose, text),
        characters: tokens::billable(purpose, text),
    };
    let bytes: usize = contents.iter().map(String::len).sum();
    let counted: Amount = contents.iter().map(expected).sum();
    let whole_of = |part: u64| (part as f64 * survey.bytes as f64 / bytes.max(1) as f64) as u64;
    let all = Amount {
        tokens: whole_of(counted.tokens),
        characters: whole_of(counted.characters),
    };
    let amount = all
        + sample
            .iter()
            .map(|(_, text)| expected(text))
            .sum::<Amount>();
    let whole = contents.len() as u64 == survey.pending;
    let (texts_per_minute, _) = settings::pace();
    let per_request = texts_per_request(
        batch.min(purpose.model.max_texts),
        (texts_per_minute > 0).then_some(texts_per_minute as f64),
    );
    let requests = match whole {
        // Large texts fill a request before their number does.
        true => {
            let texts = contents.iter().map(|text| ((), text.clone()));
            batch::requests(texts, purpose, per_request).len() as u64
        }
        false => {
            let by_tokens = purpose
                .model
                .max_request_tokens
                .map_or(0, |most| all.tokens.div_ceil(batch::usable(most)));
            survey.pending.div_ceil(per_request as u64).max(by_tokens)
        }
    };
    Ok(Price {
        survey,
        tokens: amount.tokens,
        requests: requests + u64::from(!sample.is_empty()),
        cost: settings::cost(purpose.model, amount),
        sample,
        contents,
        versions,
    })
}

/// Of a batch: fewer where the quota is small, so that it is used evenly and to its end.
pub fn texts_per_request(batch: usize, texts_per_minute: Option<f64>) -> usize {
    let share = texts_per_minute.map_or(usize::MAX, |texts| (texts / 20.0) as usize);
    batch.min(share.max(1))
}
