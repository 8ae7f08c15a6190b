//! The journal: a row for each run and each rejected row. Written with the rights of the extension's
//! owner, so that any role that may run may leave its trace and none can forge one; always in a
//! transaction that commits, never in the one that aborts.

mod known;

use std::time::Duration;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;

use super::error::Error;
use super::settings;
use super::sys;
use super::target::Target;
use crate::engine::effort::Effort;
use crate::engine::tokens::Amount;
use crate::gemini::request::Purpose;
use crate::gemini::response::Answer;

pub use known::{function_of, knows, last, last_model};

/// What the entry of a mirror is called by.
pub const MIRROR: &str = "mirror_to_chroma";

/// What a run has done so far.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    pub embedded: u64,
    pub rejected: u64,
    pub tokens: u64,
    pub cost: f64,
    /// Texts of which the model read the begin only, where it says so.
    pub truncated: u64,
    pub effort: Effort,
    /// Of a collection of ChromaDB: records that it took, and that were deleted from it.
    pub mirrored: u64,
    pub removed: u64,
    /// Why nothing goes out at the moment.
    pub waiting_for: Option<String>,
}

impl Counts {
    /// Counts an answer: what it says, or `bound`, the most it can be; returns what counted.
    pub fn bill(&mut self, purpose: &Purpose, answer: &Answer, bound: Amount) -> Amount {
        let amount = Amount {
            tokens: answer.tokens.unwrap_or(bound.tokens),
            characters: answer.characters.unwrap_or(bound.characters),
        };
        self.tokens += amount.tokens;
        self.cost += settings::cost(purpose.model, amount);
        self.truncated += answer.truncated as u64;
        amount
    }
}

/// An open entry.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    run: i64,
    /// Releases before the mirror have no columns for it, and their SQL may still be there.
    mirrors: bool,
}

/// Opens an entry; the caller holds the column's lock, so entries that are still open are of runs that
/// were killed.
pub fn open(
    function: &str,
    target: &Target,
    purpose: Option<&Purpose>,
    pending: u64,
    blank: u64,
) -> Result<Entry, Error> {
    let user = Spi::connect(|client| {
        client
            .select("SELECT current_user::pg_catalog.text", None, &[])?
            .first()
            .get_one::<String>()
    })?;
    as_owner(|| {
        if function != "embed_missing" {
            run(
                "UPDATE embedding_backfill.journal SET state = 'interrupted', finished = updated
                 WHERE state = 'running' AND lock_key = $1",
                &[target.lock_key().into()],
            )?;
        }
        prune()?;
        let id = Spi::connect_mut(|client| {
            client
                .update(
                    "INSERT INTO embedding_backfill.journal (function, run_by, pid, lock_key, relation,
                         relation_name, embedding_column, model, dimensions, task_type, content,
                         source_filter, pending, blank)
                     VALUES ($1, $13::name, pg_backend_pid(), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                     RETURNING run",
                    None,
                    &[
                        function.into(),
                        target.lock_key().into(),
                        target.oid.into(),
                        target.relation.as_str().into(),
                        target.column.name.as_str().into(),
                        purpose.map(|purpose| purpose.model.name).into(),
                        (target.dimensions as i32).into(),
                        purpose.map(|purpose| purpose.task.name()).into(),
                        target.content.as_str().into(),
                        target.filter.as_str().into(),
                        (pending as i64).into(),
                        (blank as i64).into(),
                        user.as_deref().unwrap_or_default().into(),
                    ],
                )?
                .first()
                .get_one::<i64>()
        })?;
        Ok(Entry {
            run: id.unwrap_or_default(),
            mirrors: false,
        })
    })
}

/// Deletes what is old, but for what still works, and what tells of which model the vectors of a column are. It waits
/// for nobody who does the same, and leaves it to others where what they have done meanwhile would be an error.
fn prune() -> Result<(), Error> {
    run(
        "WITH old AS (
             SELECT run FROM embedding_backfill.journal AS old
             WHERE started < now() - make_interval(days => $1)
               AND current_setting('transaction_isolation') = 'read committed'
               AND NOT (state = 'running'
                    AND EXISTS (SELECT FROM embedding_backfill.runs AS r
                                WHERE r.run = old.run AND r.state = 'running'))
               AND NOT (embedded > 0
                    AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = old.relation)
                    AND NOT EXISTS (SELECT FROM embedding_backfill.journal AS newer
                                    WHERE newer.lock_key = old.lock_key AND newer.relation = old.relation
                                      AND newer.embedded > 0 AND newer.run > old.run))
             FOR UPDATE OF old SKIP LOCKED)
         DELETE FROM embedding_backfill.journal AS journal USING old WHERE journal.run = old.run",
        &[settings::journal_retention().into()],
    )
}

impl Entry {
    /// From now on it tells of this collection, too.
    pub fn mirrors(&mut self, collection: &str) -> Result<(), Error> {
        self.mirrors = true;
        as_owner(|| {
            run(
                "UPDATE embedding_backfill.journal SET collection = $2 WHERE run = $1",
                &[self.run.into(), collection.into()],
            )
        })
    }

    pub fn update(self, counts: &Counts) -> Result<(), Error> {
        self.write(counts, "running", None)
    }

    pub fn close(self, counts: &Counts, state: &str, reason: &str) -> Result<(), Error> {
        self.write(counts, state, Some(reason))
    }

    /// Whether somebody called embed_stop.
    pub fn is_to_stop(self) -> Result<bool, Error> {
        let asked = as_owner(|| {
            Spi::connect(|client| {
                client
                    .select(
                        "SELECT EXISTS (SELECT FROM embedding_backfill.stop_requests WHERE run = $1)",
                        None,
                        &[self.run.into()],
                    )?
                    .first()
                    .get_one::<bool>()
            })
            .map_err(Error::from)
        })?;
        Ok(asked.unwrap_or(false))
    }

    pub fn number(self) -> i64 {
        self.run
    }

    fn write(self, counts: &Counts, state: &str, reason: Option<&str>) -> Result<(), Error> {
        let Counts { effort, .. } = counts;
        let mirror = match self.mirrors {
            true => format!(
                ", mirrored = {}, removed = {}",
                counts.mirrored, counts.removed
            ),
            false => String::new(),
        };
        as_owner(|| {
            run(
                &format!(
                    "UPDATE embedding_backfill.journal
                 SET embedded = $2, rejected = $3, tokens = $4, cost = $5::numeric(20, 6), requests = $6,
                     retries = $7, quota_refusals = $8, waited = make_interval(secs => $9),
                     waiting_for = $10, state = $11, reason = $12, updated = clock_timestamp(),
                     finished = CASE WHEN $11 <> 'running' THEN clock_timestamp() END{mirror}
                 WHERE run = $1"
                ),
                &[
                    self.run.into(),
                    (counts.embedded as i64).into(),
                    (counts.rejected as i64).into(),
                    (counts.tokens as i64).into(),
                    counts.cost.into(),
                    (effort.requests as i64).into(),
                    (effort.retries as i64).into(),
                    (effort.refused_by_quota as i64).into(),
                    effort.waited.as_secs_f64().into(),
                    counts.waiting_for.as_deref().into(),
                    state.into(),
                    reason.into(),
                ],
            )
        })
    }
}

/// In a table of its own: a request that is not committed yet must not hold up the run's entry.
pub fn request_stop(run_number: i64) -> Result<(), Error> {
    as_owner(|| {
        run(
            "INSERT INTO embedding_backfill.stop_requests (run) VALUES ($1) ON CONFLICT DO NOTHING",
            &[run_number.into()],
        )
    })
}

/// Tells who LISTENs what this transaction wrote.
pub fn notify(target: &Target, entry: Entry, rows: u64) -> Result<(), Error> {
    if rows == 0 {
        return Ok(());
    }
    sys::with_pinned_search_path(|| {
        run(
            "SELECT pg_notify('embedding_backfill',
                 json_build_object('relation', $1, 'column', $2, 'rows', $3, 'run', $4)::text)",
            &[
                target.relation.as_str().into(),
                target.column.name.as_str().into(),
                (rows as i64).into(),
                entry.number().into(),
            ],
        )
    })
}

pub fn run(statement: &str, arguments: &[DatumWithOid<'_>]) -> Result<(), Error> {
    Ok(Spi::connect_mut(|client| {
        client.update(statement, None, arguments).map(drop)
    })?)
}

pub fn as_owner<R>(f: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    sys::with_pinned_search_path(|| {
        let owner = Spi::connect(|client| {
            client
                .select(
                    "SELECT extowner FROM pg_extension WHERE extname = 'embedding_backfill'",
                    None,
                    &[],
                )?
                .first()
                .get_one::<Oid>()
        })?;
        sys::as_user(owner.unwrap_or(Oid::INVALID), f)
    })
}

/// How long a wait still lasts, for the journal.
pub fn waiting(reason: &str, left: Duration) -> String {
    format!("{reason}, {} s left", left.as_secs())
}
