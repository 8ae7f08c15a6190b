//! The mirror beside a backfill: rows go to a collection before their vectors are written, so that a row which
//! has its vector is there. Where Chroma fails, the vectors are written all the same: they are paid for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;

use pgrx::itemptr::item_pointer_to_u64;
use pgrx::pg_sys::ItemPointerData;
use pgrx::prelude::*;

use super::key::Key;
use super::{access, collection_named, report};
use crate::chroma::record::Record;
use crate::engine::failure::Failure;
use crate::engine::mirror::{Job, Mirror, NotMirrored, NotOpened, Opened, Outcome};
use crate::engine::pace::Wait;
use crate::engine::pipeline::{Pipeline, Wake};
use crate::engine::vector::nearest_half;
use crate::pg::error::Error;
use crate::pg::error::MirrorError;
use crate::pg::preflight;
use crate::pg::settings;
use crate::pg::store::Made;
use crate::pg::target::Target;

/// A row that is on its way, under the id of its record.
type Sent = (String, Made);

pub struct Beside {
    pipeline: Pipeline<Mirror<Sent>>,
    /// Ids on their way. A later version of such a row is not sent: it might land before the earlier one.
    in_flight: HashSet<String>,
    key: Key,
    pub collection: String,
    pub host: String,
    state: State,
    /// Records that the collection took.
    pub mirrored: u64,
    left_out: u64,
    /// Rows that were written without being there.
    left: u64,
    /// Rows that were not sent since an earlier version was on its way, and since their key is empty.
    overtaken: u64,
    without_key: u64,
}

enum State {
    /// Nothing is paid for before the collection is known to be one that can be filled.
    Opening,
    Open {
        max_batch: usize,
    },
    GivenUp(Failure),
}

pub enum News {
    /// Rows to write, and whether they are in the collection.
    Write(Vec<Made>, bool),
    /// The collection can't be the mirror of this column.
    Refused(Error),
    Nothing,
}

impl Beside {
    /// Asks for the collection at once.
    pub fn begin(
        target: &Target,
        collection: Option<String>,
        wake: &Wake,
    ) -> Result<Beside, Error> {
        let collection = collection_named(collection)?;
        let key = Key::primary(target, true)?;
        preflight::expressions(target, &[("key", &key.sql)])?;
        let chroma = settings::chroma()?;
        key.check(target, &target.filter)?;
        let host = chroma.client.connection().base_url.host().to_owned();
        let service = Mirror::new(access(chroma, &collection, target, Vec::new())?);
        let mut pipeline =
            Pipeline::new(service, settings::concurrency(), wake).map_err(Error::Pipe)?;
        pipeline.submit(Job::Open).map_err(Error::Pipe)?;
        Ok(Beside {
            pipeline,
            in_flight: HashSet::new(),
            key,
            collection,
            host,
            state: State::Opening,
            mirrored: 0,
            left_out: 0,
            left: 0,
            overtaken: 0,
            without_key: 0,
        })
    }

    pub fn is_opening(&self) -> bool {
        matches!(self.state, State::Opening)
    }

    pub fn rows_in_flight(&self) -> usize {
        self.pipeline.rows_in_flight()
    }

    pub fn wait(&self) -> Option<Wait> {
        self.pipeline.service().wait()
    }

    /// The run is to end: a server that fails is not waited for, and what is on its way to it is written without.
    pub fn wait_no_more(&mut self) {
        if self.wait().is_some() {
            self.pipeline.stop();
        }
    }

    /// Rows were written that are not in the collection.
    pub fn leaves(&mut self, rows: usize) {
        self.left += rows as u64;
    }

    /// Sends rows on; those that come back are to be written without.
    pub fn hand_over(&mut self, target: &Target, rows: Vec<Made>) -> Result<Vec<Made>, Error> {
        let State::Open { max_batch } = self.state else {
            return Ok(rows);
        };
        let mut leaves: BTreeMap<usize, Vec<Made>> = BTreeMap::new();
        for made in rows {
            leaves.entry(made.0.leaf).or_default().push(made);
        }
        let is_half = target.column.bare_type() == "halfvec";
        let mut without = Vec::new();
        let mut pairs = Vec::new();
        for (leaf, rows) in leaves {
            let mut found = self.find(target, leaf, &rows)?;
            for (place, vector) in rows {
                match found.remove(&item_pointer_to_u64(place.ctid)) {
                    // What has changed will not be written either.
                    Some(row) if row.md5 == place.md5 && self.may_go(&row.key) => {
                        let record = Record {
                            id: row.key.clone(),
                            vector: json(&vector, is_half),
                            document: row.content,
                            metadata: Vec::new(),
                        };
                        pairs.push((record, (row.key, (place, vector))));
                    }
                    _ => without.push((place, vector)),
                }
            }
        }
        let mut pairs = pairs.into_iter().peekable();
        while pairs.peek().is_some() {
            let (records, rows) = pairs.by_ref().take(max_batch).unzip();
            let job = Job::Upsert { records, rows };
            self.pipeline.submit(job).map_err(Error::Pipe)?;
        }
        Ok(without)
    }

    fn may_go(&mut self, key: &str) -> bool {
        if key.is_empty() {
            self.without_key += 1;
            return false;
        }
        let is_first = self.in_flight.insert(key.to_owned());
        self.overtaken += u64::from(!is_first);
        is_first
    }

    /// What has arrived, without waiting.
    pub fn next(&mut self, target: &Target) -> Option<News> {
        Some(match self.pipeline.try_next()? {
            Outcome::Opened(Ok(opened)) => self.opened(opened),
            Outcome::Opened(Err(reason)) => self.not_opened(target, reason),
            Outcome::Upserted { rows: sent, result } => {
                let (ids, rows): (Vec<String>, Vec<Made>) = sent.into_iter().unzip();
                for id in &ids {
                    self.in_flight.remove(id);
                }
                let is_there = result.is_ok();
                match result {
                    Ok(()) => self.mirrored += rows.len() as u64,
                    Err(NotMirrored::LeftOut { id, reason }) => {
                        report::left_out(self.left_out, &id, &reason);
                        self.left_out += 1;
                    }
                    Err(NotMirrored::Stopped(failure)) => self.give_up(failure),
                    Err(NotMirrored::Unsent) => (),
                }
                News::Write(rows, is_there)
            }
            Outcome::Page(_) | Outcome::Deleted(_) => News::Nothing,
        })
    }

    fn opened(&mut self, opened: Opened) -> News {
        if let Some(space) = opened.space.filter(|space| space != "cosine") {
            report::other_space(&self.collection, &space);
        }
        self.state = State::Open {
            max_batch: opened.max_batch,
        };
        News::Nothing
    }

    fn not_opened(&mut self, target: &Target, reason: NotOpened) -> News {
        let column = format!("{}.{}", target.label, target.column.sql);
        match reason {
            NotOpened::Failed(failure) if failure.is_outage() => {
                self.give_up(failure);
                News::Nothing
            }
            reason => match MirrorError::of(reason, &self.collection, column, target.dimensions) {
                Some(error) => News::Refused(error.into()),
                None => News::Nothing,
            },
        }
    }

    fn give_up(&mut self, failure: Failure) {
        if !matches!(self.state, State::GivenUp(_)) {
            report::given_up(&self.collection, &failure);
            self.state = State::GivenUp(failure);
        }
    }

    /// After the last commit.
    pub fn end(&self, target: &Target) {
        let reason = match &self.state {
            State::GivenUp(failure) => failure.to_string(),
            _ if self.left_out > 0 => "the server refused them".into(),
            _ if self.overtaken > 0 => "an earlier version was on its way".into(),
            _ => "the run ended before".into(),
        };
        report::beside(&self.collection, &self.host, self.mirrored);
        report::without_key(self.without_key);
        let left = self.left.saturating_sub(self.without_key);
        report::left_behind(target, &self.collection, left, &reason);
    }

    /// The rows as they are now, by place, of those that still have no vector.
    fn find(
        &self,
        target: &Target,
        leaf: usize,
        rows: &[Made],
    ) -> Result<HashMap<u64, Found>, Error> {
        let ctids: Vec<ItemPointerData> = rows.iter().map(|(place, _)| place.ctid).collect();
        let statement = format!(
            "SELECT ctid, pg_catalog.md5({content}), {key}, {content} {from}
               AND ctid OPERATOR(pg_catalog.=) ANY ($1) AND {column} IS NULL",
            key = self.key.sql,
            content = target.content,
            column = target.column.sql,
            from = target.rows_of(leaf),
        );
        Spi::connect_mut(|client| {
            let mut found = HashMap::with_capacity(ctids.len());
            let arguments = [ctids.into()];
            let plan = target.plans.of(client, &statement, &arguments)?;
            for row in client.update(&*plan, None, &arguments)? {
                if let (Some(ctid), Some(md5)) = (row.get(1)?, row.get(2)?) {
                    let row = Found {
                        md5,
                        key: row.get(3)?.unwrap_or_default(),
                        content: row.get(4)?.unwrap_or_default(),
                    };
                    found.insert(item_pointer_to_u64(ctid), row);
                }
            }
            Ok(found)
        })
    }
}

struct Found {
    md5: String,
    key: String,
    content: String,
}

/// The shortest numbers that are these values, or what a `halfvec` keeps of them.
fn json(vector: &[f32], is_half: bool) -> String {
    let mut json = String::with_capacity(12 * vector.len() + 2);
    for &value in vector {
        let value = match is_half {
            true => nearest_half(value),
            false => value,
        };
        json.push(if json.is_empty() { '[' } else { ',' });
        // Writing to a String can't fail.
        let _ = write!(json, "{value}");
    }
    json.push(']');
    json
}
