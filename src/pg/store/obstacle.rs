//! What may keep rows from being written. Only errors that are about rows count here: a cancel or a full disk is
//! never a row's fault.

use pgrx::PgSqlErrorCode::{self, *};
use pgrx::pg_sys::panic::ErrorReportWithLevel;

use crate::pg::error::Error;

pub enum Obstacle {
    Failed(Error),
    /// A row went to another partition at this very moment: Postgres has an error for that, and not just another
    /// place as for rows that move within a table.
    Moved,
    /// By a trigger, a constraint or a policy, for this reason.
    Refused(String),
}

/// Those that stand for a class of errors are its first.
const REFUSALS: [PgSqlErrorCode; 5] = [
    ERRCODE_DATA_EXCEPTION,
    ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION,
    ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION,
    ERRCODE_WITH_CHECK_OPTION_VIOLATION,
    ERRCODE_PLPGSQL_ERROR,
];

/// Of what Postgres says; a trigger may say anything at any length.
const MAX_REASON: usize = 200;

impl Obstacle {
    pub fn to_lock(report: &ErrorReportWithLevel) -> Option<Obstacle> {
        (report.sql_error_code() == ERRCODE_T_R_SERIALIZATION_FAILURE).then_some(Obstacle::Moved)
    }

    pub fn to_update(report: &ErrorReportWithLevel) -> Option<Obstacle> {
        let code = report.sql_error_code();
        let refused = REFUSALS
            .iter()
            .any(|refusal| class(*refusal) == class(code))
            || code == ERRCODE_INSUFFICIENT_PRIVILEGE;
        refused.then(|| {
            let words: Vec<&str> = report.message().split_whitespace().collect();
            let words: String = words.join(" ").chars().take(MAX_REASON).collect();
            let reason = format!("a trigger or a constraint refused the update: {words}");
            Obstacle::Refused(reason)
        })
    }
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Self {
        Obstacle::Failed(error)
    }
}

/// The first two of a SQLSTATE's five characters, which take six bits each.
fn class(code: PgSqlErrorCode) -> isize {
    code as isize & 0xfff
}
