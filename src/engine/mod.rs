//! Requests in flight: from texts to vectors that can be believed. Knows no Postgres; its threads
//! get owned data and give owned data back.

pub mod access;
pub mod account;
mod assertion;
pub mod batch;
pub mod credentials;
pub mod effort;
pub mod embedder;
mod embedding;
pub mod endpoint;
pub mod failure;
mod form;
pub mod grant;
pub mod http;
pub mod key;
pub mod mirror;
pub mod outcome;
pub mod pace;
pub mod pipeline;
pub mod secret;
mod surplus;
pub mod token_file;
pub mod tokens;
pub mod vector;
pub mod verdict;
