//! A stand-in for Google's embedding APIs, Gemini's and Vertex AI's with the credentials that go with it: an HTTP server on a
//! loopback port, as strict as the real ones, whose vectors are a function of the text. Used by tests, demo and benchmarks; it
//! must never be more lenient than Google is, and never give a vector that `Standin::vector` does not give too.
//!
//! ```
//! use google_standin::{Config, Standin};
//! let google = Standin::start(Config::default());
//! assert!(google.base_url().ends_with("/v1beta"));
//! assert_eq!(google.stats().requests, 0);
//! ```

mod accounts;
mod answer;
mod assertion;
mod config;
mod connection;
mod delivery;
mod embed;
mod errors;
mod fault;
mod floats;
mod http;
mod metadata;
mod models;
mod oauth;
mod oracle;
mod predict;
mod protojson;
mod quota;
mod refusals;
mod reply;
mod request;
mod response;
mod semantics;
mod server;
mod service;
mod service_key;
mod shared;
mod spoil;
mod stats;
mod stream;
mod text;
mod tls;
mod tokens;
mod vertex;
mod words;

pub use accounts::Accounts;
pub use config::{Config, Script};
pub use errors::ApiError;
pub use fault::{Fault, Stage};
pub use oracle::{vector, vector_for};
pub use reply::Reply;
pub use request::Request;
pub use semantics::Semantics;
pub use server::Standin;
pub use stats::Stats;
pub use tls::{Authority, Flaw, Identity};
pub use words::Words;
