//! What the journal knows of a column.

use pgrx::prelude::*;

use super::as_owner;
use crate::gemini::request::Purpose;
use crate::pg::error::Error;
use crate::pg::target::Target;

/// What a process does that has a run.
pub fn function_of(pid: i32) -> Result<Option<String>, Error> {
    as_owner(|| {
        Spi::connect(|client| {
            let rows = client.select(
                "SELECT function FROM embedding_backfill.journal
                 WHERE pid = $1 AND state = 'running'
                 ORDER BY run DESC",
                Some(1),
                &[pid.into()],
            )?;
            match rows.is_empty() {
                true => Ok(None),
                false => rows.first().get_one::<String>(),
            }
        })
        .map_err(Error::from)
    })
}

/// The model of the last run that wrote to this column.
pub fn last_model(target: &Target) -> Result<Option<String>, Error> {
    as_owner(|| {
        Spi::connect(|client| {
            let rows = client.select(
                "SELECT model FROM embedding_backfill.journal
                 WHERE relation = $1 AND embedding_column = $2::name AND embedded > 0
                 ORDER BY run DESC",
                Some(1),
                &[target.oid.into(), target.column.name.as_str().into()],
            )?;
            match rows.is_empty() {
                true => Ok(None),
                false => rows.first().get_one::<String>(),
            }
        })
        .map_err(Error::from)
    })
}

/// Whether the last run that wrote to this column used the settings of this one.
pub fn knows(target: &Target, purpose: &Purpose) -> Result<bool, Error> {
    let same = as_owner(|| {
        Spi::connect(|client| {
            let rows = client.select(
                "SELECT model = $3 AND dimensions = $4 AND task_type = $5
                 FROM embedding_backfill.journal
                 WHERE relation = $1 AND embedding_column = $2::name AND embedded > 0
                 ORDER BY run DESC",
                Some(1),
                &[
                    target.oid.into(),
                    target.column.name.as_str().into(),
                    purpose.model.name.into(),
                    (purpose.dimensions as i32).into(),
                    purpose.task.name().into(),
                ],
            )?;
            match rows.is_empty() {
                true => Ok(None),
                false => rows.first().get_one::<bool>(),
            }
        })
        .map_err(Error::from)
    })?;
    Ok(same.unwrap_or(false))
}
