//! Why a request brought no vectors, in facts.

use std::fmt;

use super::vector::VectorFault;
use crate::gemini::error::ApiError;

#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The API answered, and refused.
    Refused(ApiError),
    /// No connection, a broken one, or no TLS.
    Transport {
        host: String,
        reason: String,
    },
    Timeout {
        host: String,
        seconds: u64,
    },
    TooLarge {
        limit: u64,
    },
    /// 200, but not an answer to what was asked.
    Malformed {
        reason: String,
    },
    Vector(VectorFault),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Transport { host, reason } => write!(f, "could not reach {host}: {reason}"),
            Self::Timeout { host, seconds } => {
                write!(f, "no answer from {host} within {seconds} s")
            }
            Self::TooLarge { limit } => write!(f, "the answer is larger than {limit} bytes"),
            Self::Malformed { reason } => write!(f, "the answer can't be read: {reason}"),
            Self::Vector(fault) => fault.fmt(f),
        }
    }
}
