//! The caller's own SQL, `content` and `source_filter`: each must be exactly one expression before it
//! becomes part of a statement, so that nothing else rides along.

use super::error::Error;
use super::parser::{self, Parsed};

/// What `checked` was given for this; None where it was not asked.
pub fn text_of(sql: &str) -> Option<&str> {
    sql.strip_prefix('(')?.strip_suffix("\n)")
}

/// An expression that stands in parentheses of its own, whatever comment it ends with.
pub fn checked(argument: &'static str, text: &str) -> Result<String, Error> {
    let reason = match parser::parse_expression(text) {
        Ok(Parsed::OneExpression) => return Ok(format!("({text}\n)")),
        Ok(Parsed::NotOneExpression) => "it is not exactly one expression".to_owned(),
        Ok(Parsed::Error(message)) => message,
        Err(_) => "it has a zero byte".to_owned(),
    };
    Err(Error::Expression { argument, reason })
}
