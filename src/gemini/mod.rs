//! The wire: what goes to Google's embedding models as JSON, what comes back, and what errors mean; by the
//! Gemini API or by Vertex AI. Knows neither sockets nor Postgres.

mod cursor;
pub mod error;
pub mod model;
mod numbers;
pub mod predict;
pub mod provider;
pub mod purpose;
mod quota;
pub mod request;
pub mod response;
pub mod task;
