//! Rows that were refused for their content: remembered by its md5, so that they are not sent again until
//! it changes or the user asks. Written as the journal is.

use std::collections::HashSet;

use pgrx::pg_sys::Oid;
use pgrx::prelude::*;

use super::candidates;
use super::error::Error;
use super::journal::{as_owner, run};
use super::store::Place;
use super::target::Target;
use crate::gemini::request::Purpose;

const VETOED: &str = "a trigger or a policy refused the update";
const CHANGED: &str = "a trigger changes the content at each update";

/// Rows of a run that did not take their vector.
#[derive(Default)]
pub struct Refusals {
    /// Places of rows whose content a trigger changed once, as one does that puts it in order.
    changed: HashSet<(usize, u64)>,
}

impl Refusals {
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
    let key = candidates::row_key(target, place)?;
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

/// Returns how many contents of the table are forgotten.
pub fn forget_rejected(relation: Oid) -> Result<i64, Error> {
    let forgotten = as_owner(|| {
        Spi::connect_mut(|client| {
            client
                .update(
                    "WITH forgotten AS (
                         DELETE FROM embedding_backfill.rejected WHERE relation::oid = $1 RETURNING 1)
                     SELECT count(*) FROM forgotten",
                    None,
                    &[relation.into()],
                )?
                .first()
                .get_one::<i64>()
        })
        .map_err(Error::from)
    })?;
    Ok(forgotten.unwrap_or_default())
}
