//! The wire of the mirror: what goes to a server of ChromaDB as JSON by its HTTP API v2, what comes back, and
//! what its errors mean. Knows neither sockets nor Postgres.

pub mod error;
pub mod place;
pub mod record;
pub mod response;
