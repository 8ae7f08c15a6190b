//! The wire: what goes to Google's embedding API as JSON, what comes back, and what its errors mean.
//! Knows neither sockets nor Postgres.

mod cursor;
pub mod error;
pub mod model;
mod numbers;
pub mod request;
pub mod response;
pub mod task;
