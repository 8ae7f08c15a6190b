//! What may go wrong between a client and the API, each fault by the name that `--fault` takes. What it does is in
//! `spoil` for answers that are delivered well, and in `delivery` for the others.

use std::fmt;
use std::str::FromStr;

use crate::errors::ApiError;

/// The stages at which a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before anything of the request is read.
    Arrival,
    /// When the head of the request has been read, and nothing of its body.
    Request,
    /// On the way back. The work was done, and Google would bill it.
    Delivery,
    /// The answer is a wrong one, delivered well; the work was done.
    Answer,
    /// There is no answer of the API's own, so nothing is billed.
    Instead,
}

macro_rules! faults {
    ($($stage:ident { $($fault:ident $name:literal $what:literal)* })*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            $($(#[doc = $what] $fault,)*)*
            /// A redirect with this status, to `Config::elsewhere`.
            Redirect(u16),
            /// This status with an error in Google's form that says no more than it.
            Status(u16),
            /// The error of this name in `bodies/`.
            Recorded(&'static str),
        }

        /// With name and meaning; those that have a number or a file besides.
        const NAMED: &[(Fault, &str, &str)] = &[$($((Fault::$fault, $name, $what),)*)*];

        impl Fault {
            pub fn stage(self) -> Stage {
                match self {
                    $($(Fault::$fault)|* => Stage::$stage,)*
                    Fault::Redirect(_) | Fault::Status(_) | Fault::Recorded(_) => Stage::Instead,
                }
            }
        }
    };
}

faults! {
    Arrival {
        Refuse "refuse" "nobody listens, from now on and until `Standin::listen`"
        Blackhole "blackhole" "the connection is accepted, and nothing is ever read or written"
        ResetOnAccept "reset-on-accept" "RST on a new connection"
    }
    Request {
        ResetInRequest "reset-in-request" "RST between the head and the body of the request"
    }
    Delivery {
        ResetAfterRequest "reset-after-request" "RST instead of an answer"
        ResetInHead "reset-in-head" "RST in the middle of the answer's head"
        ResetInBody "reset-in-body" "RST in the middle of the answer's body"
        EmptyAnswer "empty-answer" "the connection ends without a byte"
        ByteByByte "byte-by-byte" "the answer comes a byte at a time, as fast as that goes"
        Drip "drip" "the answer comes a byte at a time, one in 5 ms"
        Truncated "truncated" "the connection ends in the middle of the body"
        LengthTooLong "length-too-long" "Content-Length is 100 bytes too large, then the connection ends"
        LengthTooShort "length-too-short" "Content-Length is half of the body"
        BadChunks "bad-chunks" "a chunk's size is no number"
        TwoAnswers "two-answers" "another answer follows at once, with the vectors in reverse order"
    }
    Answer {
        Fewer "fewer-vectors" "one vector is missing"
        More "more-vectors" "there is one vector too many"
        NoVectors "no-vectors" "the list of vectors is empty"
        ShortVector "short-vector" "the last vector is a value short"
        LongVector "long-vector" "the last vector has a value more"
        EmptyVector "empty-vector" "the last vector has no values"
        ZeroVector "zero-vector" "the last vector is all zeros"
        Nan "nan" "a value is NaN"
        Infinity "infinity" "a value is Infinity"
        Huge "1e999" "a value is 1e999"
        BeyondFloat "1e39" "a value is 1e39, more than a float4 holds"
        Null "null" "a value is null"
        Strings "strings" "the values are strings"
        Nested "nested" "a value is a list"
        MinusZero "minus-zero" "the first value of each vector is -0"
        FortyDigits "forty-digits" "each value has 40 digits"
        DuplicateEmbeddings "duplicate-embeddings" "`embeddings` comes twice, at first in reverse order"
        DuplicateValues "duplicate-values" "`values` comes twice, at first in reverse order"
        ReorderedKeys "reordered-keys" "the keys come in another order, with unknown ones between them"
        DeepInside "deep-inside" "an unknown key has lists nested 100,000 deep"
        Bom "bom" "the body begins with a byte order mark"
        InvalidUtf8 "invalid-utf8" "a text in the body is not UTF-8"
    }
    Instead {
        Deep "deep" "lists nested 100,000 deep"
        NoBody "no-body" "200 without a body"
        NoEmbeddings "no-embeddings" "200 with an empty object"
        NullEmbeddings "null-embeddings" "200 with null for the list of vectors"
        List "list" "200 with a list"
        Html "html" "200 with a page in HTML"
        ErrorWith200 "error-with-200" "200 with the body of an error"
        GzipBomb "gzip-bomb" "200 with 250 kB that unpack to 256 MiB"
        Flood "flood" "200 with a body of blanks that has no end"
        EndlessHead "endless-head" "200 with headers that have no end"
        NotHttp "not-http" "the greeting of a mail server"
        BadGateway "bad-gateway" "502 with a proxy's page in HTML"
        Forbidden "forbidden" "403 with a firewall's page in HTML"
    }
}

const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// Those of Google's table of errors of which no body was seen.
const STATUSES: [u16; 2] = [408, 499];

impl Fault {
    /// All of them; `Status` takes others than these.
    pub fn all() -> Vec<Fault> {
        let named = NAMED.iter().map(|(fault, ..)| *fault);
        named
            .chain(REDIRECTS.map(Fault::Redirect))
            .chain(STATUSES.map(Fault::Status))
            .chain(ApiError::recorded_names().map(Fault::Recorded))
            .collect()
    }

    /// What it does, in a few words.
    pub fn what(self) -> String {
        match self {
            Fault::Redirect(status) => format!("{status} to the base URL of --elsewhere"),
            Fault::Status(status) => format!("{status} with an error in Google's form"),
            Fault::Recorded(_) => "Google's error of this name".into(),
            fault => {
                let named = NAMED.iter().find(|(named, ..)| *named == fault);
                named.map_or("", |(.., what)| what).into()
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Fault::Redirect(status) => write!(f, "redirect-{status}"),
            Fault::Status(status) => write!(f, "status-{status}"),
            Fault::Recorded(name) => f.write_str(name),
            fault => {
                let named = NAMED.iter().find(|(named, ..)| *named == fault);
                f.write_str(named.map_or("", |(_, name, _)| name))
            }
        }
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Fault, String> {
        let status = name
            .strip_prefix("status-")
            .and_then(|status| status.parse().ok())
            .filter(|status| (400..600).contains(status));
        Fault::all()
            .into_iter()
            .find(|fault| fault.to_string() == name)
            .or(status.map(Fault::Status))
            .ok_or_else(|| format!("{name}: no such fault"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_means_one_fault() {
        for fault in Fault::all() {
            assert_eq!(fault.to_string().parse(), Ok(fault));
            assert!(!fault.what().is_empty(), "{fault}");
        }
        assert_eq!("status-418".parse(), Ok(Fault::Status(418)));
        for name in ["status-200", "status-", "nothing", ""] {
            assert!(name.parse::<Fault>().is_err(), "{name}");
        }
    }
}
