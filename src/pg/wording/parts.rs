//! What an error is made of: code, message, detail, hint.

use pgrx::PgSqlErrorCode;

pub type Parts = (PgSqlErrorCode, String, Option<String>, Option<String>);

pub fn parts(code: PgSqlErrorCode, message: impl Into<String>, hint: impl Into<String>) -> Parts {
    (code, message.into(), None, Some(hint.into()))
}
