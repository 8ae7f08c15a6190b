//! Why a request brought no vectors, in facts.

use std::fmt;

use super::vector::VectorFault;
use crate::chroma::error::{Kind as Chroma, Refusal};
use crate::gemini::error::{ApiError, Kind, Period};

/// How far a request came that found no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakAt {
    /// Nothing was sent.
    Connect,
    /// The other end could not prove who it is: trying again won't help.
    Trust,
    /// Somewhere after: Google may have had it.
    Exchange,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The API answered, and refused.
    Refused(ApiError),
    /// The server of the mirror answered, and refused.
    Chroma(Refusal),
    /// Nothing was sent for want of an access token.
    NoToken(NoToken),
    /// No connection, a broken one, or no TLS.
    Transport {
        host: String,
        reason: String,
        break_at: BreakAt,
    },
    Timeout {
        host: String,
        seconds: u64,
    },
    TooLarge {
        limit: u64,
    },
    /// Larger than the other end takes; not sent.
    TooLargeToSend {
        bytes: u64,
        limit: u64,
    },
    /// 200, but not an answer to what was asked.
    Malformed {
        reason: String,
    },
    Vector(VectorFault),
}

/// Why there is no token, and so nothing was sent.
#[derive(Debug, Clone, PartialEq)]
pub enum NoToken {
    /// The endpoint answered, and refused.
    Refused {
        host: String,
        http_status: u16,
        /// OAuth's name for it, such as `invalid_grant`, and what it says besides; one short line.
        words: String,
    },
    /// It was not reached, or not understood.
    Failed(Box<Failure>),
    /// No credentials are set, and there is no metadata server.
    NotInTheCloud { host: String },
    /// The account's key does not sign.
    PrivateKey,
    /// The file that has the token can't be read any more.
    File(String),
}

impl Failure {
    /// Whether Google may have done the work all the same.
    pub fn may_be_billed(&self) -> bool {
        !matches!(
            self,
            Self::Refused(_)
                | Self::Chroma(_)
                | Self::TooLargeToSend { .. }
                | Self::NoToken(_)
                | Self::Transport {
                    break_at: BreakAt::Connect | BreakAt::Trust,
                    ..
                }
        )
    }

    /// The other end is down or can't be reached: nothing that a person has to mend in a setting or a call.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Timeout { .. } => true,
            Self::Transport { break_at, .. } => *break_at != BreakAt::Trust,
            Self::Chroma(refusal) => refusal.kind == Chroma::Unavailable,
            _ => false,
        }
    }

    /// No such host, as far as this machine knows.
    pub fn is_unknown_host(&self) -> bool {
        matches!(self, Self::Transport { reason, .. } if is_unknown_host(reason))
    }

    /// A quota that is not back before midnight Pacific time.
    pub fn is_daily_quota(&self) -> bool {
        matches!(
            self,
            Self::Refused(ApiError { kind: Kind::Quota(quota), .. })
                if quota.period == Period::Day && quota.limit != Some(0)
        )
    }
}

/// The system's resolver says why only in words.
pub fn is_unknown_host(reason: &str) -> bool {
    ["host not found", "failed to lookup address"]
        .iter()
        .any(|words| reason.starts_with(words))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Chroma(refusal) => refusal.fmt(f),
            Self::NoToken(no_token) => no_token.fmt(f),
            Self::Transport {
                host,
                reason,
                break_at,
            } => match break_at {
                BreakAt::Connect => write!(f, "could not reach {host}: {reason}"),
                BreakAt::Trust => write!(f, "could not trust {host}: {reason}"),
                BreakAt::Exchange => write!(f, "no answer from {host}: {reason}"),
            },
            Self::Timeout { host, seconds } => {
                write!(f, "no answer from {host} within {seconds} s")
            }
            Self::TooLarge { limit } => write!(f, "the answer is larger than {limit} bytes"),
            Self::TooLargeToSend { bytes, limit } => {
                write!(f, "a body of {bytes} bytes, and the server takes {limit}")
            }
            Self::Malformed { reason } => write!(f, "the answer can't be read: {reason}"),
            Self::Vector(fault) => fault.fmt(f),
        }
    }
}

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused {
                host,
                http_status,
                words,
            } => match words.as_str() {
                "" => write!(f, "no access token from {host}: HTTP {http_status}"),
                words => write!(
                    f,
                    "no access token from {host}: HTTP {http_status}: {words}"
                ),
            },
            Self::Failed(failure) => write!(f, "no access token: {failure}"),
            Self::NotInTheCloud { host } => write!(
                f,
                "no credentials for Vertex AI are set, and there is no metadata server {host}"
            ),
            Self::PrivateKey => write!(f, "no access token: the account's private key can't sign"),
            Self::File(fault) => write!(f, "no access token: {fault}"),
        }
    }
}
