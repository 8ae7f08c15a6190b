//! All that ends a call, in facts; `wording` says them.

mod mirror;

use std::borrow::Cow;
use std::io;

use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::spi;

use crate::engine::credentials::CredentialFault;
use crate::engine::endpoint::UrlFault;
use crate::engine::failure::Failure;
use crate::engine::http::ConnectionFault;
use crate::engine::key::KeyFault;
use crate::gemini::model::{Model, ModelError};
use crate::gemini::provider::PlaceFault;

pub use mirror::MirrorError;

/// All that ends a call. Names are as the user writes them in SQL.
#[derive(Debug)]
pub enum Error {
    NullArgument {
        name: &'static str,
    },
    Batch {
        value: Option<i32>,
    },
    RelationGone {
        oid: u32,
    },
    RelationKind {
        relation: String,
        kind: &'static str,
    },
    Encoding {
        encoding: String,
    },
    NoPgvector,
    NoVectorColumn {
        relation: String,
    },
    SeveralVectorColumns {
        relation: String,
        columns: Vec<String>,
    },
    NoSuchColumn {
        relation: String,
        column: String,
        vectors: Vec<String>,
    },
    NotAVector {
        relation: String,
        column: String,
        type_name: String,
    },
    NoTextColumn {
        relation: String,
    },
    NoDimensions {
        relation: String,
        column: String,
        type_name: String,
    },
    Dimensions {
        name: String,
        dimensions: i64,
        model: &'static Model,
    },
    Expression {
        argument: &'static str,
        reason: String,
    },
    /// Postgres refused the expression in its place; its own code, message and hint.
    ExpressionType {
        argument: &'static str,
        code: PgSqlErrorCode,
        message: String,
        hint: Option<String>,
    },
    /// Renamed or dropped while it was filled.
    RelationReplaced {
        relation: String,
    },
    ColumnReplaced {
        relation: String,
        column: String,
    },
    /// So many that it may be something else than the rows.
    Refused {
        relation: String,
        rows: usize,
        reason: String,
    },
    /// It is not the same for the same row.
    UnstableContent {
        relation: String,
        rows: usize,
    },
    /// A text that can't be embedded; places count from 1.
    BlankText {
        place: usize,
    },
    /// A sample of no rows or too many.
    Sample {
        value: Option<i32>,
    },
    NoRight {
        what: String,
    },
    /// A limit of a run that can't be kept.
    Limit {
        name: &'static str,
        value: String,
    },
    /// The column's vectors are not of the model that is to fill it.
    OtherSpace {
        relation: String,
        column: String,
        model: &'static Model,
        sample: usize,
    },
    Provider {
        name: String,
    },
    Model(ModelError),
    TaskType {
        what: &'static str,
        name: String,
    },
    Key(KeyFault),
    Credentials(CredentialFault),
    /// Of Google Cloud.
    NoProject,
    Place(PlaceFault),
    /// A superuser's setting that the client brought along when it connected.
    SettingRefused {
        name: Cow<'static, str>,
    },
    BaseUrl {
        url: String,
        fault: UrlFault,
    },
    Connection(ConnectionFault),
    TransactionBlock,
    ReadOnly {
        function: &'static str,
    },
    NotGranted {
        function: &'static str,
    },
    /// A step of a run that this session has not begun.
    NoRun,
    Mirror(MirrorError),
    Request(Failure),
    /// A run ended early; what came before is committed.
    Run {
        failure: Failure,
        embedded: u64,
    },
    Pipe(io::Error),
    Spi(spi::Error),
}

impl From<spi::Error> for Error {
    fn from(error: spi::Error) -> Self {
        Error::Spi(error)
    }
}

impl From<Error> for ErrorReport {
    fn from(error: Error) -> Self {
        let (code, message, detail, hint) = error.parts();
        let mut report = ErrorReport::new(code, message, "embedding_backfill");
        if let Some(detail) = detail {
            report = report.set_detail(detail);
        }
        if let Some(hint) = hint {
            report = report.set_hint(hint);
        }
        report
    }
}

impl Error {
    /// The message alone, for the journal.
    pub fn message(&self) -> String {
        match self {
            Error::Run { failure, .. } => failure.to_string(),
            Error::Mirror(error) => error.message(),
            Error::OtherSpace { model, sample, .. } => {
                format!("none of {sample} stored vectors is of {}", model.name)
            }
            Error::RelationReplaced { .. } => "the table was renamed or dropped".into(),
            Error::ColumnReplaced { .. } => "the column was renamed, retyped or dropped".into(),
            Error::Refused { rows, reason, .. } => format!("{rows} rows in a row: {reason}"),
            other => format!("{other:?}"),
        }
    }
}
