//! Rows that were refused for their content: remembered by its md5, so that they are not sent again until
//! it changes or the user asks. Written as the journal is.

use std::collections::HashSet;

use pgrx::pg_sys::Oid;
use pgrx::prelude::*;

use super::contents;
use super::error::Error;
use super::journal::{as_owner, run};
use super::store::{Place, Written};
use super::target::Target;
use crate::gemini::request::Purpose;

const VETOED: &str = "a trigger or a policy refused the update";
const CHANGED: &str = "a trigger changes the content at each update";

/// Rows that are paid for, one after the other, and none of them takes its vector.
const MOST_IN_A_ROW: usize = 1000;

/// Rows of a run that did not take their vector.
#[derive(Default)]
pub struct Refusals {
    /// Places of rows whose content a trigger changed once, as one does that puts it in order.
    changed: HashSet<(usize, u64)>,
    /// Since the last one that did.
    in_a_row: usize,
}

impl Refusals {
    /// Counts them; an error where there are so many that a person should look at it.
    pub fn count(&mut self, target: &Target, written: &Written) -> Option<Error> {
        if written.rows > 0 {
            self.in_a_row = 0;
        }
        self.in_a_row += written.vetoed.len() + written.refused.len();
        let reason = written.refused.last().map(|(_, reason)| reason.as_str());
        (self.in_a_row >= MOST_IN_A_ROW).then(|| Error::Refused {
            relation: target.label.clone(),
            rows: self.in_a_row,
            reason: reason.unwrap_or(VETOED).to_owned(),
        })
    }

    /// Remembers those that would refuse their next vector as well; returns where they are.
    pub fn remember(
        &mut self,
        target: &mut Target,
        purpose: &Purpose,
        vetoed: Vec<Place>,
        changed: Vec<(Place, Place)>,
    ) -> Result<Vec<Place>, Error> {
        let mut refused = vetoed;
        for place in &refused {
            remember(target, purpose, place, VETOED)?;
        }
        for (before, now) in changed {
            if self.changed.contains(&before.key()) {
                remember(target, purpose, &now, CHANGED)?;
                refused.push(now);
            } else {
                self.changed.insert(now.key());
            }
        }
        Ok(refused)
    }
}

/// Contents, by md5, that the model refused for this column before.
pub fn rejected(target: &Target, purpose: &Purpose) -> Result<Vec<String>, Error> {
    as_owner(|| {
        Spi::connect(|client| {
            client
                .select(
                    "SELECT content_md5 FROM embedding_backfill.rejected
                     WHERE relation = $1 AND embedding_column = $2::name AND model = $3",
                    None,
                    &[
                        target.oid.into(),
                        target.column.name.as_str().into(),
                        purpose.model.name.into(),
                    ],
                )?
                .filter_map(|row| row.get::<String>(1).transpose())
                .map(|md5| Ok(md5?))
                .collect()
        })
    })
}

/// Remembers a content that was refused, with the row that had it; the target sends it no more.
pub fn remember(
    target: &mut Target,
    purpose: &Purpose,
    place: &Place,
    reason: &str,
) -> Result<(), Error> {
    let key = contents::row_key(target, place)?;
    target.rejected.push(place.md5.clone());
    as_owner(|| {
        run(
            "INSERT INTO embedding_backfill.rejected
                 (relation, embedding_column, model, content_md5, key, reason)
             VALUES ($1, $2::name, $3, $4, $5::jsonb, $6)
             ON CONFLICT (relation, embedding_column, model, content_md5)
             DO UPDATE SET key = excluded.key, reason = excluded.reason, at = now()",
            &[
                target.oid.into(),
                target.column.name.as_str().into(),
                purpose.model.name.into(),
                place.md5.as_str().into(),
                key.as_deref().into(),
                reason.into(),
            ],
        )
    })
}

/// Returns how many contents of the column are forgotten.
pub fn forget_rejected(relation: Oid, column: &str) -> Result<i64, Error> {
    let forgotten = as_owner(|| {
        Spi::connect_mut(|client| {
            client
                .update(
                    "WITH forgotten AS (
                         DELETE FROM embedding_backfill.rejected
                         WHERE relation::oid = $1 AND embedding_column = $2::name RETURNING 1)
                     SELECT count(*) FROM forgotten",
                    None,
                    &[relation.into(), column.into()],
                )?
                .first()
                .get_one::<i64>()
        })
        .map_err(Error::from)
    })?;
    Ok(forgotten.unwrap_or_default())
}
