//! What ends a mirror's call, in facts; `wording` says them.

use super::Error;
use crate::engine::endpoint::UrlFault;
use crate::engine::failure::Failure;
use crate::engine::mirror::NotOpened;
use crate::engine::token_file::TokenFault;

#[derive(Debug)]
pub enum MirrorError {
    /// Not a name that Chroma takes.
    Collection {
        name: Option<String>,
    },
    Batch {
        value: Option<i32>,
    },
    /// The table has no primary key to make ids of.
    NoKey {
        relation: String,
        /// Asked for by embed_all_missing, which has no argument for it.
        beside: bool,
    },
    /// What is to be an id is NULL, empty, or that of several rows.
    BadKey {
        relation: String,
        key: Option<String>,
        rows: u64,
        beside: bool,
    },
    NoSuchMetadata {
        relation: String,
        column: String,
        columns: Vec<String>,
    },
    MetadataName {
        what: String,
    },
    UrlNotSet,
    Url {
        url: String,
        fault: UrlFault,
    },
    Token(TokenFault),
    OtherDimensions {
        collection: String,
        theirs: u64,
        column: String,
        ours: u32,
    },
    /// A collection with records that are not of this column.
    NotOurs {
        collection: String,
        records: u64,
        column: String,
        mark: Option<String>,
        ours: String,
    },
    /// It ended early; what came before is there.
    Run {
        failure: Failure,
        mirrored: u64,
    },
}

impl From<MirrorError> for Error {
    fn from(error: MirrorError) -> Error {
        Error::Mirror(error)
    }
}

impl MirrorError {
    /// Why a collection can't be used; None where the run has stopped before that was known.
    pub fn of(
        reason: NotOpened,
        collection: &str,
        column: String,
        dimensions: u32,
    ) -> Option<MirrorError> {
        let collection = collection.to_owned();
        Some(match reason {
            NotOpened::Unsent => return None,
            NotOpened::Failed(failure) => MirrorError::Run {
                failure,
                mirrored: 0,
            },
            NotOpened::OtherDimensions(theirs) => MirrorError::OtherDimensions {
                collection,
                theirs,
                column,
                ours: dimensions,
            },
            NotOpened::NotOurs {
                records,
                mark,
                ours,
            } => MirrorError::NotOurs {
                collection,
                records,
                column,
                mark,
                ours,
            },
        })
    }

    /// The message alone, for the journal.
    pub fn message(&self) -> String {
        match self {
            MirrorError::Run { failure, .. } => failure.to_string(),
            MirrorError::OtherDimensions {
                collection, theirs, ..
            } => {
                format!("collection {collection} has {theirs} dimensions")
            }
            MirrorError::NotOurs { collection, .. } => {
                format!("collection {collection} has records of something else")
            }
            other => format!("{other:?}"),
        }
    }
}
