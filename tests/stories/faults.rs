//! A fault strikes a run once, and then the API is well; then it lasts, and is mended. Whatever happens, every row is NULL or has
//! the vector of its content, nothing else in it changed, no row was written twice, and the journal agrees with the table.

mod case;
mod table;

use std::thread;

use google_standin::{Config, Fault, Reply, Request, Stage, Standin};
use postgres::error::DbError;
use support::{Db, Finished, Session, Space, Trial, refused};

use crate::{faults_answers, faults_network, faults_refusals, fixtures::right};

pub use case::{Case, Once, words};
pub use table::{BATCH, ROWS, Table};

const BROKEN: &str = "Broken pipe (os error 32)";

/// Cases at a time: most of each is waiting.
const AT_A_TIME: usize = 12;

/// Does this for each, some at the same time, in threads that have their names.
pub fn side_by_side<T: Sync>(all: &[T], name: impl Fn(&T) -> String, work: impl Fn(&T) + Sync) {
    for some in all.chunks(AT_A_TIME) {
        thread::scope(|scope| {
            for one in some {
                let work = &work;
                thread::Builder::new()
                    .name(name(one))
                    .spawn_scoped(scope, move || work(one))
                    .unwrap();
            }
        });
    }
}

/// Tries each case and notes what came of it.
pub fn all_tried(chapter: &str, cases: &[Case]) {
    let db = Db::fresh();
    let name = |case: &Case| case.fault.to_string();
    side_by_side(cases, name, |case| {
        tried(&db, chapter, case, Config::default());
    });
}

pub fn tried(db: &Db, chapter: &str, case: &Case, config: Config) {
    let fault = case.fault;
    let elsewhere = Standin::start(Config::default());
    let config = Config {
        elsewhere: elsewhere.base_url(),
        record: true,
        ..config
    };
    let mut table = Table::new(db, &fault.to_string(), config);
    let timeout = case.timeout;
    table.session.run(&format!(
        "SET embedding_backfill.request_timeout = '{timeout}s'"
    ));
    strikes_once(case, &mut table);
    let seen = match (lasts(case, &mut table), case.once) {
        (None, _) => "all rows".to_owned(),
        (Some(error), Once::Ends) => error.message().to_owned(),
        (Some(error), _) => {
            // Which of the two it is depends on how far the client came with its request.
            let message = error.message();
            let message = message.replace(BROKEN, "Connection reset by peer (os error 104)");
            format!("all rows; if it lasts: {message}")
        }
    };
    assert_eq!(elsewhere.stats().connections, 0);
    Trial {
        chapter,
        fault: &words(fault),
        times: table.api.stats().faults,
        seen: &seen,
        lost: 0,
        doubled: 0,
    }
    .note();
}

/// What the fault strikes first: the first connection where it is one of connections, else the second request, so that something
/// is written before.
fn first(fault: Fault) -> Vec<Reply> {
    match fault.stage() {
        Stage::Arrival => vec![],
        _ => vec![Reply::Serve],
    }
}

fn strikes_once(case: &Case, table: &mut Table) {
    let fault = case.fault;
    let mut replies = first(fault);
    let before = BATCH * replies.len() as u32;
    replies.push(Reply::Fault(fault));
    table.empty();
    table.api.set(|config| config.replies = replies.into());
    let result = table.embed_all();
    assert_eq!(table.api.stats().faults, 1, "it did not strike");
    let count = table.sound(|session| right_for(fault, session));
    let (state, _, retries, _) = table.last();
    let requests = table.api.stats().requests;
    // Of requests that end on arrival the stand-in knows nothing.
    let read = u64::from(fault.stage() != Stage::Arrival);
    match case.once {
        Once::Ends => {
            refused(result, case.sqlstate, "", "");
            assert_eq!((count, state.as_str()), (before, "failed"));
            assert_eq!(requests, 2, "it was tried again");
            assert_eq!(
                table.embed_all().unwrap(),
                Finished::done(i64::from(ROWS - before), 0)
            );
            table.sound(|session| right_for(fault, session));
        }
        Once::Unharmed => assert_eq!((result.unwrap(), retries, requests), (all(), 0, 3)),
        Once::Retried => {
            assert_eq!((result.unwrap(), retries, requests), (all(), 1, 3 + read));
            let mut sent: Vec<_> = table.api.requests().iter().map(Request::texts).collect();
            sent.sort();
            sent.dedup();
            assert_eq!(sent.len(), 3, "what was sent again was not the same");
        }
        Once::Halved => assert_eq!((result.unwrap(), retries, requests), (all(), 0, 5)),
    }
    let billed = table.api.stats().texts_billed;
    assert!(
        billed <= u64::from(ROWS + BATCH),
        "{billed} texts were billed"
    );
}

/// The error that ends the run, if one does.
fn lasts(case: &Case, table: &mut Table) -> Option<DbError> {
    let fault = case.fault;
    let serves = match case.once {
        // A refusal of texts is theirs where others have passed: that is told in `rejects`.
        Once::Halved if matches!(fault, Fault::Recorded(_)) => vec![],
        _ => first(fault),
    };
    let before = BATCH * serves.len() as u32;
    table.empty();
    table.session.run("SET embedding_backfill.max_attempts = 1");
    table.api.set(|config| {
        config.replies = serves.into();
        config.faults = vec![(fault, 1)];
    });
    let result = table.embed_all();
    let mut error = None;
    let mut left = ROWS - before;
    if case.once == Once::Unharmed {
        assert_eq!(result.unwrap(), all());
        assert_eq!(table.sound(|session| right_for(fault, session)), ROWS);
        left = 0;
    } else {
        let ended = refused(result, case.sqlstate, case.says, "");
        let detail = format!("{before} rows were embedded and committed before.");
        assert_eq!(ended.detail(), Some(detail.as_str()));
        assert_eq!(table.sound(|session| right_for(fault, session)), before);
        let (state, reason, ..) = table.last();
        assert_eq!(state, "failed");
        assert!(ended.message().ends_with(&reason), "{reason}");
        refused(
            table.session.embed(&format!("'logs', {BATCH}")),
            case.sqlstate,
            case.says,
            "",
        );
        error = Some(ended);
    }
    table.api.set(|config| config.faults.clear());
    assert_eq!(
        table.embed_all().unwrap(),
        Finished::done(i64::from(left), 0)
    );
    assert_eq!(table.sound(|session| right_for(fault, session)), ROWS);
    error
}

fn all() -> Finished {
    Finished::done(i64::from(ROWS), 0)
}

/// How many rows have a vector, each found right; a fault that changes a value without making it wrong is allowed for.
fn right_for(fault: Fault, session: &mut Session) -> usize {
    if fault != Fault::MinusZero {
        return right(session, "logs");
    }
    let rows = session
        .query(
            "SELECT body, embedding FROM logs WHERE embedding IS NOT NULL",
            &[],
        )
        .unwrap();
    for row in &rows {
        let (body, stored): (String, pgvector::Vector) = (row.get(0), row.get(1));
        let mut spoiled = Space::GEMINI_2.vector(&body, 128);
        let whole = stored.as_slice()[0] != 0.0;
        if !whole {
            spoiled[0] = 0.0;
        }
        let norm = spoiled.iter().map(|x| x * x).sum::<f32>().sqrt();
        for (stored, right) in stored.as_slice().iter().zip(&spoiled) {
            assert!((stored - right / norm).abs() < 1e-6, "{body}");
        }
    }
    rows.len()
}

#[test]
fn each_fault_has_a_story() {
    let told: Vec<Fault> = [
        faults_network::CASES,
        faults_answers::CASES,
        faults_refusals::CASES,
    ]
    .into_iter()
    .flatten()
    .map(|case| case.fault)
    .chain(faults_refusals::QUOTAS.map(|(fault, _)| fault))
    .chain([Fault::Refuse])
    .collect();
    for fault in Fault::all() {
        assert!(told.contains(&fault), "{fault} has none");
    }
}
