//! All that knows Postgres: names become catalog entries, rows become texts, vectors become rows,
//! facts become SQLSTATEs. Only the backend's own thread runs here.

mod audit;
mod backfill;
mod candidates;
mod columns;
mod contents;
mod control;
mod error;
mod expression;
mod feed;
mod figures;
mod fold;
mod freight;
mod journal;
mod leaves;
mod limits;
mod lock;
mod locked;
mod mirror;
mod one_batch;
mod parser;
mod pass;
mod plan;
mod plans;
mod preflight;
mod price;
mod progress;
mod rejects;
mod report;
mod resample;
mod run;
mod search;
mod settings;
mod space;
mod stop;
mod store;
mod survey;
mod sys;
mod tally;
mod target;
mod vector_type;
mod verify;
mod wait;
mod wording;

use pgrx::prelude::*;

pgrx::pg_module_magic!(name = c"embedding_backfill", version = c"0.2.0");

/// Called once in each backend that loads the library.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    settings::define();
    sys::reserve_settings();
    run::forget_on_abort();
    sys::on_abort_of_any(audit::aborted);
}
