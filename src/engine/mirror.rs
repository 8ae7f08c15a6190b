//! The service that fills a collection of ChromaDB: send, judge the answer, and try again, halve, leave out or
//! stop. Whatever it sends can be sent twice, so nothing is lost and nothing is there twice.

mod exchange;
pub mod queue;
mod token;

use std::sync::OnceLock;

use super::effort::{Effort, Meter};
use super::failure::Failure;
use super::http::Client;
use super::pace::{Pace, Wait};
use super::pipeline::{Rows, Service};
use crate::chroma::place::Place;
use crate::chroma::record::Record;
use exchange::GivenUp;

pub use token::Token;

/// What every worker needs; owned data only.
pub struct Access {
    pub client: Client,
    pub token: Option<Token>,
    pub place: Place,
    /// Whose rows the collection is to hold.
    pub mark: String,
    pub dimensions: u32,
    /// Names of the metadata that each record has.
    pub keys: Vec<String>,
    /// Sends of one request before it is given up.
    pub max_attempts: u32,
}

pub enum Job<T> {
    /// Before all others, and alone: finds the collection, or makes it.
    Open,
    Upsert {
        records: Vec<Record>,
        /// What belongs to each, and comes back with the outcome.
        rows: Vec<T>,
    },
    /// The ids of some records.
    Page {
        offset: u64,
        limit: usize,
    },
    Delete(Vec<String>),
}

pub enum Outcome<T> {
    Opened(Result<Opened, NotOpened>),
    Upserted {
        rows: Vec<T>,
        result: Result<(), NotMirrored>,
    },
    Page(Result<Vec<String>, NotMirrored>),
    /// How many.
    Deleted(Result<u64, NotMirrored>),
}

#[derive(Debug, PartialEq)]
pub struct Opened {
    /// The most records that the server takes in one request.
    pub max_batch: usize,
    pub space: Option<String>,
}

#[derive(Debug)]
pub enum NotOpened {
    Failed(Failure),
    /// The collection's vectors have so many.
    OtherDimensions(u64),
    /// It has records that are not of this table.
    NotOurs {
        records: u64,
        mark: Option<String>,
        ours: String,
    },
    Unsent,
}

#[derive(Debug)]
pub enum NotMirrored {
    /// The server refuses this one record.
    LeftOut { id: String, reason: String },
    /// The run can't go on.
    Stopped(Failure),
    /// Not sent, since the run has stopped.
    Unsent,
}

pub struct Mirror<T> {
    access: Access,
    /// Of the collection, once it is open.
    id: OnceLock<String>,
    pace: Pace,
    /// Only an upsert counts as answered.
    meter: Meter,
    rows: std::marker::PhantomData<fn(T)>,
}

impl<T> Rows for Job<T> {
    /// What is not about rows counts as one, so that it is waited for.
    fn rows(&self) -> usize {
        match self {
            Job::Upsert { rows, .. } => rows.len(),
            Job::Open | Job::Page { .. } | Job::Delete(_) => 1,
        }
    }
}

impl<T> Rows for Outcome<T> {
    fn rows(&self) -> usize {
        match self {
            Outcome::Upserted { rows, .. } => rows.len(),
            Outcome::Opened(_) | Outcome::Page(_) | Outcome::Deleted(_) => 1,
        }
    }
}

impl<T: Send + 'static> Service for Mirror<T> {
    type Job = Job<T>;
    type Outcome = Outcome<T>;

    fn serve(
        &self,
        job: Job<T>,
        memory: &mut Vec<u8>,
        deliver: &mut dyn FnMut(Outcome<T>) -> bool,
    ) {
        match job {
            Job::Open => {
                deliver(Outcome::Opened(self.open(memory)));
            }
            Job::Upsert { records, rows } => self.fill(records, rows, memory, deliver),
            Job::Page { offset, limit } => {
                let page = self.page(offset, limit, memory);
                deliver(Outcome::Page(
                    page.map_err(|given_up| self.stopped(given_up)),
                ));
            }
            Job::Delete(ids) => {
                let deleted = self.delete(&ids, memory).map(|()| ids.len() as u64);
                deliver(Outcome::Deleted(
                    deleted.map_err(|given_up| self.stopped(given_up)),
                ));
            }
        }
    }

    fn stop(&self) {
        self.pace.stop();
    }
}

impl<T> Mirror<T> {
    pub fn new(access: Access) -> Mirror<T> {
        Mirror {
            access,
            id: OnceLock::new(),
            pace: Pace::new(0, 0),
            meter: Meter::default(),
            rows: std::marker::PhantomData,
        }
    }

    pub fn effort(&self) -> Effort {
        self.meter.effort(self.pace.waited())
    }

    /// Why nothing goes out at the moment, if so.
    pub fn wait(&self) -> Option<Wait> {
        self.pace.wait()
    }

    /// The longest that an upsert took so far.
    pub fn slowest_answer(&self) -> std::time::Duration {
        self.meter.slowest_answer()
    }

    /// Halves until a refused record stands alone.
    fn fill(
        &self,
        records: Vec<Record>,
        rows: Vec<T>,
        memory: &mut Vec<u8>,
        deliver: &mut dyn FnMut(Outcome<T>) -> bool,
    ) {
        let mut parts = vec![(records, rows)];
        // Refused before anything passed: whose fault that is, the others show, and be it the last of them.
        let mut aside = Vec::new();
        while let Some((mut records, mut rows)) = parts.pop() {
            let result = match self.upsert(&records, memory) {
                Ok(()) => Ok(()),
                Err(GivenUp::Split) => {
                    let middle = records.len() / 2;
                    let second = (records.split_off(middle), rows.split_off(middle));
                    parts.extend([second, (records, rows)]);
                    continue;
                }
                Err(GivenUp::Reject(failure)) if !self.is_its_fault(&failure) => {
                    aside.push((records, rows, failure));
                    continue;
                }
                Err(given_up) => Err(self.not_mirrored(&records, given_up)),
            };
            if !deliver(Outcome::Upserted { rows, result }) {
                return;
            }
        }
        for (records, rows, failure) in aside {
            let result = Err(self.not_mirrored(&records, GivenUp::Reject(failure)));
            if !deliver(Outcome::Upserted { rows, result }) {
                return;
            }
        }
    }

    fn not_mirrored(&self, records: &[Record], given_up: GivenUp) -> NotMirrored {
        match (given_up, records) {
            (GivenUp::Reject(failure), [record]) if self.is_its_fault(&failure) => {
                NotMirrored::LeftOut {
                    id: record.id.clone(),
                    reason: failure.to_string(),
                }
            }
            (given_up, _) => self.stopped(given_up),
        }
    }

    /// Whether a record that is refused alone is the cause: what it weighs is known, else others must have passed.
    fn is_its_fault(&self, failure: &Failure) -> bool {
        matches!(failure, Failure::TooLargeToSend { .. }) || self.meter.answered() > 0
    }

    fn stopped(&self, given_up: GivenUp) -> NotMirrored {
        match given_up.failure() {
            Some(failure) => {
                self.pace.stop();
                NotMirrored::Stopped(failure)
            }
            None => NotMirrored::Unsent,
        }
    }
}
