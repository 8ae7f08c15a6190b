//! Scripted replies: what a request gets instead of the ordinary answer.

use crate::errors::ApiError;
use crate::fault::Fault;

#[derive(Clone, Debug)]
pub enum Reply {
    /// The ordinary answer, as if nothing were scripted.
    Serve,
    /// What goes wrong by name. From `Config::script` those that strike before the request is read come after it.
    Fault(Fault),
    /// An error in Google's form.
    Error(ApiError),
    /// Any other complete answer.
    Answer {
        status: u16,
        content_type: String,
        /// One more header.
        header: Option<String>,
        body: Vec<u8>,
    },
    /// These bytes as they are, then the end of the connection.
    Raw(Vec<u8>),
    /// The end of the connection, without a byte.
    Close,
    /// Never an answer; ends when the client goes away or the stand-in is dropped.
    Hang,
}

impl Reply {
    /// An error body by its name in `bodies/`, such as "503_overloaded".
    ///
    /// # Panics
    /// When there is no such body.
    pub fn recorded(name: &str) -> Reply {
        Reply::Error(ApiError::recorded(name))
    }

    /// A body in JSON, such as a 200 with fewer vectors than texts.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply::Answer {
            status,
            content_type: "application/json; charset=UTF-8".into(),
            header: None,
            body: body.into(),
        }
    }

    pub fn html(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply::Answer {
            status,
            content_type: "text/html; charset=UTF-8".into(),
            header: None,
            body: body.into(),
        }
    }

    /// The same with one more header, where it is a complete answer.
    pub fn with_header(mut self, line: &str) -> Reply {
        if let Reply::Answer { header, .. } = &mut self {
            *header = Some(line.into());
        }
        self
    }
}
