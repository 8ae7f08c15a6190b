//! One call that says everything a refusal must be: its SQLSTATE, what its message names, and what its hint advises.

use std::fmt::Debug;

use postgres::{Error, error::DbError};

/// The call was refused by us: with this SQLSTATE, these words in its message, and these in its hint.
#[track_caller]
pub fn refused<T: Debug>(
    result: Result<T, Error>,
    sqlstate: &str,
    message: &str,
    hint: &str,
) -> DbError {
    let error = denied(result, sqlstate, message);
    let advice = error.hint().unwrap_or_default();
    assert!(!advice.is_empty(), "no hint with: {}", error.message());
    assert!(
        advice.contains(hint),
        "the hint does not speak of {hint:?}: {advice}"
    );
    error
}

/// The call was refused, perhaps by PostgreSQL itself, which gives a hint only at times.
#[track_caller]
pub fn denied<T: Debug>(result: Result<T, Error>, sqlstate: &str, message: &str) -> DbError {
    let error = result.expect_err("this must be refused");
    let error = error
        .as_db_error()
        .unwrap_or_else(|| panic!("not an error of the server: {error:?}"))
        .clone();
    assert_eq!(error.code().code(), sqlstate, "{error:?}");
    assert!(
        error.message().contains(message),
        "the message does not speak of {message:?}: {}",
        error.message()
    );
    assert!(
        !error.message().ends_with('.'),
        "a message has no full stop: {}",
        error.message()
    );
    error
}
