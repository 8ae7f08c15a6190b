//! embedding_backfill: fills the NULL vector columns of a table through Google's embedding API.
//!
//! Three floors, imports go down only: `pg` (all that knows Postgres) on `engine` (requests in flight)
//! on `gemini` and `chroma` (the wire). The lower two build and test without Postgres.

pub mod chroma;
pub mod engine;
pub mod gemini;

#[cfg(feature = "postgres")]
mod pg;
