//! Postgres's own parser, asked whether a text is one expression. Unsafe, since its tree is C's.
#![allow(unsafe_code)]

use std::ffi::{CString, NulError};

use pgrx::pg_sys;
use pgrx::pg_sys::submodules::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder};

/// What Postgres's parser says of a text that should be one expression.
#[derive(Debug)]
pub enum Parsed {
    OneExpression,
    NotOneExpression,
    Error(String),
}

/// Parses `text` the way PL/pgSQL parses an expression. The grammar lets a whole query's clauses
/// follow, so everything but a single unnamed target is refused here.
pub fn parse_expression(text: &str) -> Result<Parsed, NulError> {
    let text = CString::new(text)?;
    Ok(PgTryBuilder::new(|| {
        // SAFETY: a NUL-terminated string in the server's encoding; the tree is palloc'd and only read.
        let one = unsafe {
            let list =
                pg_sys::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_PLPGSQL_EXPR);
            is_one_expression(list)
        };
        match one {
            true => Parsed::OneExpression,
            false => Parsed::NotOneExpression,
        }
    })
    .catch_when(PgSqlErrorCode::ERRCODE_SYNTAX_ERROR, |error| {
        Parsed::Error(message_of(&error).to_owned())
    })
    .execute())
}

/// # Safety
/// `list` is what `raw_parser` returned.
unsafe fn is_one_expression(list: *mut pg_sys::List) -> bool {
    // SAFETY: raw_parser gives a list of RawStmt; node tags are checked before each cast.
    unsafe {
        if list.is_null() || (*list).length != 1 {
            return false;
        }
        let raw = (*(*list).elements).ptr_value.cast::<pg_sys::RawStmt>();
        let statement = (*raw).stmt;
        if statement.is_null() || (*statement).type_ != pg_sys::NodeTag::T_SelectStmt {
            return false;
        }
        let select = &*statement.cast::<pg_sys::SelectStmt>();
        let clauses = [
            select.distinctClause,
            select.fromClause,
            select.groupClause,
            select.windowClause,
            select.valuesLists,
            select.sortClause,
            select.lockingClause,
        ];
        let nodes = [
            select.whereClause,
            select.havingClause,
            select.limitOffset,
            select.limitCount,
        ];
        let targets = select.targetList;
        if clauses.iter().any(|clause| !clause.is_null())
            || nodes.iter().any(|node| !node.is_null())
            || targets.is_null()
            || (*targets).length != 1
        {
            return false;
        }
        let target = &*(*(*targets).elements).ptr_value.cast::<pg_sys::ResTarget>();
        target.name.is_null() && !is_star(target.val)
    }
}

/// # Safety
/// `node` is an expression of a raw parse tree.
unsafe fn is_star(node: *mut pg_sys::Node) -> bool {
    // SAFETY: the tag says that it is a ColumnRef, whose fields are a list of nodes that is never empty.
    unsafe {
        if node.is_null() || (*node).type_ != pg_sys::NodeTag::T_ColumnRef {
            return false;
        }
        let fields = (*node.cast::<pg_sys::ColumnRef>()).fields;
        let last = (*(*fields).elements.add((*fields).length as usize - 1))
            .ptr_value
            .cast::<pg_sys::Node>();
        (*last).type_ == pg_sys::NodeTag::T_A_Star
    }
}

/// The message of an error that Postgres or pgrx raised.
pub fn message_of(error: &CaughtError) -> &str {
    match error {
        CaughtError::PostgresError(report)
        | CaughtError::ErrorReport(report)
        | CaughtError::RustPanic {
            ereport: report, ..
        } => report.message(),
    }
}
