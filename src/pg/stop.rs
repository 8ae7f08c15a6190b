//! Why a run ends, and what its caller is told.

use super::error::Error;
use super::limits::Reached;
use crate::engine::failure::Failure;

pub enum Stop {
    Done,
    Limit(Reached),
    DailyQuota(Failure),
    /// Somebody called embed_stop.
    Requested,
    Failed(Error),
}

pub struct End {
    pub embedded: u64,
    pub remaining: Option<u64>,
    pub stopped_because: &'static str,
}

impl Stop {
    /// For a failure that ends a run after `embedded` rows.
    pub fn of(failure: Failure, embedded: u64) -> Stop {
        match failure.is_daily_quota() {
            true => Stop::DailyQuota(failure),
            false => Stop::Failed(Error::Run { failure, embedded }),
        }
    }

    /// As `stopped_because` says it; a failure is an error and never gets there.
    pub fn name(&self) -> &'static str {
        match self {
            Stop::Done => "done",
            Stop::Limit(reached) => reached.name(),
            Stop::DailyQuota(_) => "daily_quota",
            Stop::Requested => "stop_requested",
            Stop::Failed(_) => "failed",
        }
    }
}
