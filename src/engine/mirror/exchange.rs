//! The calls of Chroma's API, each tried again until it passes or is given up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use serde_json::Value;
use ureq::http::Method;

use super::{Access, Mirror, NotOpened, Opened, Token};
use crate::chroma::error::{self, Kind, Refusal};
use crate::chroma::place::{self, PRE_FLIGHT_CHECKS};
use crate::chroma::record::{self, Record};
use crate::chroma::response::{self, Collection};
use crate::engine::failure::Failure;
use crate::engine::verdict::{self, Verdict, judge};

/// What the server takes in one body.
const MAX_BODY_BYTES: usize = 40 * 1024 * 1024;

pub(super) enum GivenUp {
    Split,
    Reject(Failure),
    Stop(Failure),
    Unsent,
}

impl GivenUp {
    /// None where the run has stopped. Only several records are ever split.
    pub(super) fn failure(self) -> Option<Failure> {
        match self {
            GivenUp::Reject(failure) | GivenUp::Stop(failure) => Some(failure),
            GivenUp::Split | GivenUp::Unsent => None,
        }
    }
}

struct Request {
    method: Method,
    path: String,
    body: Vec<u8>,
    /// In the body.
    records: usize,
}

impl Request {
    fn get(path: impl Into<String>) -> Request {
        Request {
            method: Method::GET,
            path: path.into(),
            body: Vec::new(),
            records: 1,
        }
    }

    fn with(method: Method, path: String, body: &Value) -> Request {
        Request {
            method,
            path,
            body: body.to_string().into_bytes(),
            records: 1,
        }
    }
}

impl<T> Mirror<T> {
    /// Asks what the server takes, finds or makes the collection, and sees that it can be ours.
    pub(super) fn open(&self, memory: &mut Vec<u8>) -> Result<Opened, NotOpened> {
        let Access {
            place,
            mark,
            dimensions,
            ..
        } = &self.access;
        let limits = Request::get(PRE_FLIGHT_CHECKS);
        let max_batch = self.ask(&limits, memory, response::max_batch_size)?;
        let collection = self.find_or_make(memory)?;
        if let Some(theirs) = collection.dimension
            && theirs != u64::from(*dimensions)
        {
            return Err(NotOpened::OtherDimensions(theirs));
        }
        if collection.mark() != Some(mark) {
            let count = Request::get(place.by_id(&collection.id, "/count"));
            let records = self.ask(&count, memory, response::count)?;
            if records > 0 {
                return Err(NotOpened::NotOurs {
                    records,
                    mark: collection.mark().map(str::to_owned),
                    ours: mark.clone(),
                });
            }
            let marking = place::marking(collection.metadata, mark);
            let request = Request::with(Method::PUT, place.by_id(&collection.id, ""), &marking);
            self.ask(&request, memory, response::nothing)?;
        }
        self.id.get_or_init(|| collection.id);
        Ok(Opened {
            max_batch,
            space: collection.space,
        })
    }

    fn find_or_make(&self, memory: &mut Vec<u8>) -> Result<Collection, GivenUp> {
        let Access { place, mark, .. } = &self.access;
        let found = self.ask(&Request::get(place.by_name()), memory, response::collection);
        match found {
            Err(GivenUp::Stop(Failure::Chroma(Refusal {
                kind: Kind::Missing,
                ..
            }))) => {
                let request =
                    Request::with(Method::POST, place.collections(), &place.creation(mark));
                self.ask(&request, memory, response::collection)
            }
            found => found,
        }
    }

    pub(super) fn upsert(&self, records: &[Record], memory: &mut Vec<u8>) -> Result<(), GivenUp> {
        let body = record::upsert(records, &self.access.keys).map_err(|e| {
            GivenUp::Stop(Failure::Malformed {
                reason: e.to_string(),
            })
        })?;
        if body.len() > MAX_BODY_BYTES {
            return Err(match records.len() {
                0 | 1 => GivenUp::Reject(Failure::TooLargeToSend {
                    bytes: body.len() as u64,
                    limit: MAX_BODY_BYTES as u64,
                }),
                _ => GivenUp::Split,
            });
        }
        let request = Request {
            method: Method::POST,
            path: self.path("/upsert"),
            body,
            records: records.len(),
        };
        let began = Instant::now();
        self.ask(&request, memory, response::nothing)?;
        self.meter.answered.fetch_add(1, Relaxed);
        self.meter
            .slowest_ms
            .fetch_max(began.elapsed().as_millis() as u64, Relaxed);
        Ok(())
    }

    pub(super) fn page(
        &self,
        offset: u64,
        limit: usize,
        memory: &mut Vec<u8>,
    ) -> Result<Vec<String>, GivenUp> {
        let page = place::page(offset, limit);
        let request = Request::with(Method::POST, self.path("/get"), &page);
        self.ask(&request, memory, response::ids)
    }

    pub(super) fn delete(&self, ids: &[String], memory: &mut Vec<u8>) -> Result<(), GivenUp> {
        let deletion = place::deletion(ids);
        let request = Request::with(Method::POST, self.path("/delete"), &deletion);
        self.ask(&request, memory, response::nothing)
    }

    /// Of a call on the collection; it is opened before all others.
    fn path(&self, call: &str) -> String {
        let id = self.id.get().map(String::as_str).unwrap_or_default();
        self.access.place.by_id(id, call)
    }

    fn ask<R>(
        &self,
        request: &Request,
        memory: &mut Vec<u8>,
        read: impl Fn(&[u8]) -> serde_json::Result<R>,
    ) -> Result<R, GivenUp> {
        let mut attempt = 1;
        loop {
            if self.pace.stopped() {
                return Err(GivenUp::Unsent);
            }
            self.meter.requests.fetch_add(1, Relaxed);
            // The owner counts on an outcome for every row, whatever happens here.
            let answer = catch_unwind(AssertUnwindSafe(|| self.send(request, memory, &read)))
                .unwrap_or_else(|_| {
                    Err(Failure::Malformed {
                        reason: "the request's thread failed".into(),
                    })
                });
            let failure = match answer {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match judge(&failure, request.records) {
                Verdict::Split => return Err(GivenUp::Split),
                Verdict::Reject => return Err(GivenUp::Reject(failure)),
                Verdict::Stop | Verdict::Wait(_) => return Err(GivenUp::Stop(failure)),
                Verdict::Retry if attempt >= self.access.max_attempts => {
                    return Err(GivenUp::Stop(failure));
                }
                Verdict::Retry => {
                    attempt += 1;
                    self.meter.retries.fetch_add(1, Relaxed);
                    let pause = verdict::pause(attempt);
                    if !self.pace.back_off(&failure.to_string(), pause) {
                        return Err(GivenUp::Unsent);
                    }
                }
            }
        }
    }

    fn send<R>(
        &self,
        request: &Request,
        memory: &mut Vec<u8>,
        read: impl Fn(&[u8]) -> serde_json::Result<R>,
    ) -> Result<R, Failure> {
        let Access { client, token, .. } = &self.access;
        let headers = token.iter().flat_map(Token::headers).collect::<Vec<_>>();
        let (status, body) = client.exchange(
            request.method.clone(),
            &request.path,
            &headers,
            &request.body,
            memory,
        )?;
        let scrub = |words: &str| match token {
            Some(token) => token.scrub(words),
            None => words.to_owned(),
        };
        if !(200..300).contains(&status) {
            return Err(Failure::Chroma(error::parse(status, body, scrub)));
        }
        read(body).map_err(|e| Failure::Malformed {
            reason: scrub(&e.to_string()),
        })
    }
}

impl From<GivenUp> for NotOpened {
    fn from(given_up: GivenUp) -> NotOpened {
        match given_up.failure() {
            Some(failure) => NotOpened::Failed(failure),
            None => NotOpened::Unsent,
        }
    }
}
