//! Google's quotas: texts and tokens a minute, texts a day, each in a window that opens with the first request after
//! the last one closed. A request that does not fit as a whole is refused and uses up nothing.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::errors::ApiError;
use crate::models::Model;

/// The quotas are per model.
#[derive(Default)]
pub struct Quotas(HashMap<&'static str, Windows>);

#[derive(Default)]
struct Windows {
    texts_per_day: Window,
    texts_per_minute: Window,
    tokens_per_minute: Window,
}

#[derive(Default)]
struct Window {
    opened: Option<Instant>,
    used: u64,
}

impl Quotas {
    pub fn take(
        &mut self,
        config: &Config,
        model: &'static Model,
        texts: u64,
        tokens: u64,
        now: Instant,
    ) -> Result<(), ApiError> {
        let windows = self.0.entry(model.name).or_default();
        let name = model.quota_name;
        let Windows {
            texts_per_day,
            texts_per_minute,
            tokens_per_minute,
        } = windows;
        texts_per_day
            .check(config.texts_per_day, config.day, texts, now)
            .map_err(|full| ApiError::texts_per_day(full.limit, name))?;
        texts_per_minute
            .check(config.texts_per_minute, config.minute, texts, now)
            .map_err(|full| ApiError::texts_per_minute(full.limit, name, full.reopens))?;
        tokens_per_minute
            .check(config.tokens_per_minute, config.minute, tokens, now)
            .map_err(|full| ApiError::tokens_per_minute(full.limit, model.name, full.reopens))?;
        texts_per_day.used += texts;
        texts_per_minute.used += texts;
        tokens_per_minute.used += tokens;
        Ok(())
    }
}

struct Full {
    limit: u64,
    reopens: Duration,
}

impl Window {
    fn check(
        &mut self,
        limit: Option<u64>,
        length: Duration,
        wanted: u64,
        now: Instant,
    ) -> Result<(), Full> {
        let age = |opened| now.saturating_duration_since(opened);
        let opened = match self.opened {
            Some(opened) if age(opened) < length => opened,
            _ => {
                self.used = 0;
                *self.opened.insert(now)
            }
        };
        match limit {
            Some(limit) if self.used + wanted > limit => Err(Full {
                limit,
                reopens: length - age(opened),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    #[test]
    fn a_window_opens_with_its_first_text_and_closes_after_its_length() {
        let config = Config {
            texts_per_minute: Some(100),
            tokens_per_minute: Some(1000),
            ..Config::default()
        };
        let model = models::find("gemini-embedding-2").unwrap();
        let other = models::find("gemini-embedding-001").unwrap();
        let mut quotas = Quotas::default();
        let start = Instant::now();
        let mut take = |model, second, texts, tokens| {
            let now = start + Duration::from_secs(second);
            quotas.take(&config, model, texts, tokens, now)
        };
        assert!(take(model, 0, 60, 10).is_ok());
        assert!(take(model, 10, 41, 10).is_err(), "does not fit as a whole");
        assert!(take(model, 10, 40, 10).is_ok(), "a refusal uses up nothing");
        assert!(take(other, 10, 100, 10).is_ok(), "each model has its own");
        let refused = take(model, 50, 1, 10).unwrap_err();
        assert!(
            refused
                .message()
                .ends_with("Please retry in 10.000000000s.")
        );
        assert!(
            take(model, 60, 1, 1001)
                .unwrap_err()
                .message()
                .contains("token_count")
        );
        assert!(take(model, 60, 100, 1000).is_ok());
    }

    #[test]
    fn the_daily_quota_is_named_before_the_others() {
        let config = Config {
            texts_per_minute: Some(0),
            texts_per_day: Some(0),
            ..Config::default()
        };
        let model = models::find("gemini-embedding-001").unwrap();
        let refused = Quotas::default().take(&config, model, 1, 1, Instant::now());
        assert!(refused.unwrap_err().json().contains("PerDay"));
    }
}
