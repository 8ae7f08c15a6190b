//! What must hold for any bytes that Google, or whoever stands in its place, may answer. The fuzzer calls these checks, and so
//! do the tests on the corpus; each panics where its promise is broken.

pub mod answer;
pub mod error_body;
pub mod prediction;
mod reading;
