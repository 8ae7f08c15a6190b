//! Why a run ends, and what its caller is told.

use super::error::Error;
use super::limits::Reached;
use crate::engine::failure::Failure;

pub enum Stop {
    Done,
    Limit(Reached),
    DailyQuota(Failure),
    Failed(Error),
}

pub struct End {
    pub embedded: u64,
    pub remaining: Option<u64>,
    pub stopped_because: &'static str,
}

impl Stop {
    /// As `stopped_because` says it; a failure is an error and never gets there.
    pub fn name(&self) -> &'static str {
        match self {
            Stop::Done => "done",
            Stop::Limit(reached) => reached.name(),
            Stop::DailyQuota(_) => "daily_quota",
            Stop::Failed(_) => "failed",
        }
    }
}
