//! What the journal knows of a column.

use pgrx::prelude::*;

use super::as_owner;
use crate::gemini::request::Purpose;
use crate::pg::error::Error;
use crate::pg::target::Target;

/// What a run made its vectors with.
pub struct Made {
    pub model: String,
    pub dimensions: u32,
    pub task: String,
}

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

/// Of the last run that wrote to this column. It is known by its number, since another may have got its
/// name; by the name only where the journal was restored, and its numbers are those of another database.
pub fn last(target: &Target) -> Result<Option<Made>, Error> {
    let key = target.lock_key();
    let name = target.column.name.as_str();
    as_owner(|| {
        for column in [
            "lock_key = $2 AND $3 IS NOT NULL",
            "lock_key >> 16 <> $2 >> 16 AND embedding_column = $3::name",
        ] {
            let statement = format!(
                "SELECT model, dimensions, task_type FROM embedding_backfill.journal
                 WHERE relation = $1 AND {column} AND embedded > 0
                 ORDER BY run DESC"
            );
            let made = Spi::connect(|client| {
                let arguments = [target.oid.into(), key.into(), name.into()];
                let rows = client.select(&statement, Some(1), &arguments)?;
                match rows.is_empty() {
                    true => Ok(None),
                    false => rows.first().get_three::<String, i32, String>().map(Some),
                }
            })?;
            if let Some((Some(model), Some(dimensions), Some(task))) = made {
                return Ok(Some(Made {
                    model,
                    dimensions: dimensions.unsigned_abs(),
                    task,
                }));
            }
        }
        Ok(None)
    })
}

/// The model of the last run that wrote to this column.
pub fn last_model(target: &Target) -> Result<Option<String>, Error> {
    Ok(last(target)?.map(|made| made.model))
}

/// Whether the last run that wrote to this column used the settings of this one.
pub fn knows(target: &Target, purpose: &Purpose) -> Result<bool, Error> {
    Ok(last(target)?.is_some_and(|made| {
        made.model == purpose.model.name
            && made.dimensions == purpose.dimensions
            && made.task == purpose.task.name()
    }))
}
