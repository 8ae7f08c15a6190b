//! What embedding_backfill promises, each module one story, told from outside against a real server. A story owns its database
//! and its stand-in for Google's API, waits for conditions and never for a length of time, and must be able to fail.

mod all_rows;
mod api_answers;
mod api_out_of_reach;
mod bad_expressions;
mod bad_input;
mod bad_settings;
mod cancel;
mod columns;
mod content;
mod fixtures;
mod install;
mod key;
mod meanwhile;
mod one_batch;
mod privileges;
mod readme;
mod reports;
mod requests;
mod rows_out_of_reach;
mod sdk;
mod secrecy;
mod shapes;
mod texts;
