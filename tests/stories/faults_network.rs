//! What a network does to requests and answers: nobody listens, nothing comes, connections break at each stage, answers are cut,
//! wrongly framed, packed to burst, or come from somebody else.

use std::thread;

use google_standin::{Config, Fault};
use support::{Db, Finished, NeverAccepts, Process, Trial, refused, wait_until};

use crate::{
    faults::{Case, ROWS, Table, all_tried, words},
    fixtures::right,
};

pub const CASES: &[Case] = &[
    Case::retried(
        Fault::Blackhole,
        "58030",
        "no answer from 127.0.0.1 within 1 s",
    )
    .soon(),
    Case::retried(Fault::ResetOnAccept, "58030", "no answer from 127.0.0.1: "),
    Case::retried(Fault::ResetInRequest, "58030", "no answer from 127.0.0.1: "),
    Case::retried(
        Fault::ResetAfterRequest,
        "58030",
        "no answer from 127.0.0.1: ",
    ),
    Case::retried(Fault::ResetInHead, "58030", "Connection reset"),
    Case::retried(Fault::ResetInBody, "58030", "disconnected"),
    Case::retried(Fault::EmptyAnswer, "58030", "disconnected"),
    Case::unharmed(Fault::ByteByByte),
    Case::retried(Fault::Drip, "58030", "no answer from 127.0.0.1 within 1 s").soon(),
    Case::retried(Fault::Truncated, "58030", "disconnected"),
    Case::retried(Fault::LengthTooLong, "58030", "disconnected"),
    Case::retried(Fault::LengthTooShort, "38000", "can't be read"),
    Case::retried(Fault::BadChunks, "58030", "chunk"),
    Case::unharmed(Fault::TwoAnswers),
    Case::halved(Fault::GzipBomb, "38000", "larger than 33554432 bytes"),
    Case::halved(Fault::Flood, "38000", "larger than 33554432 bytes"),
    Case::retried(Fault::EndlessHead, "58030", "too many headers"),
    Case::retried(Fault::NotHttp, "58030", "http parse"),
    Case::retried(Fault::Html, "38000", "can't be read"),
    Case::retried(Fault::BadGateway, "38000", "HTTP 502: <html>"),
];

#[test]
fn whatever_a_network_does() {
    all_tried("Network", CASES);
}

/// Notes it with the message that it has while it lasts.
fn note(fault: &str, times: u64, message: &str) {
    Trial {
        chapter: "Network",
        fault,
        times,
        seen: &format!("all rows; if it lasts: {message}"),
        lost: 0,
        doubled: 0,
    }
    .note();
}

#[test]
fn nobody_listens() {
    let db = Db::fresh();
    let mut table = Table::new(&db, "refuse", Config::default());
    table.empty();
    table.api.refuse();
    let mut other = db.session();
    thread::scope(|scope| {
        let call = scope.spawn(|| table.session.embed_all("'logs', 10"));
        wait_until("it waits for another attempt", || {
            other.number(
                "SELECT count(*) FROM embedding_backfill.progress WHERE waiting_for IS NOT NULL",
            ) == 1
        });
        table.api.listen();
        let all = i64::from(ROWS);
        assert_eq!(call.join().unwrap().unwrap(), Finished::done(all, 0));
    });
    table.sound(|session| right(session, "logs"));
    assert_eq!(table.api.stats().texts_billed, u64::from(ROWS));

    table.empty();
    table.api.refuse();
    let session = &mut table.session;
    session.run("SET embedding_backfill.max_attempts = 1");
    let told = "could not reach 127.0.0.1";
    let error = refused(session.embed_all("'logs'"), "58030", told, "127.0.0.1");
    refused(session.embed("'logs'"), "58030", told, "127.0.0.1");
    assert_eq!(table.sound(|session| right(session, "logs")), 0);
    table.api.listen();
    assert_eq!(table.embed_all().unwrap().embedded, i64::from(ROWS));
    table.sound(|session| right(session, "logs"));

    let port = table.api.address().port();
    let local = format!("SET embedding_backfill.base_url = 'http://localhost:{port}/v1beta'");
    table.api.refuse();
    table.empty();
    table.session.run(&local);
    refused(table.embed_all(), "58030", "could not reach localhost", "");
    table.api.listen();
    table.embed_all().unwrap();
    note("nobody listens", 4, error.message());
}

#[test]
fn a_connection_is_never_made() {
    let db = Db::fresh();
    let mut table = Table::new(&db, "never", Config::default());
    let silent = NeverAccepts::start();
    table.empty();
    table.session.run(&format!(
        "SET embedding_backfill.base_url = '{}';
         SET embedding_backfill.request_timeout = '1s';
         SET embedding_backfill.max_attempts = 2",
        silent.base_url()
    ));
    let told = "no answer from 127.0.0.1 within 1 s";
    let error = refused(table.embed_all(), "58030", told, "request_timeout");
    assert_eq!(table.last().2, 1);
    assert_eq!(table.sound(|session| right(session, "logs")), 0);
    let base_url = table.api.base_url();
    table.session.run(&format!(
        "SET embedding_backfill.base_url = '{base_url}'; RESET embedding_backfill.request_timeout"
    ));
    assert_eq!(table.embed_all().unwrap().embedded, i64::from(ROWS));
    table.sound(|session| right(session, "logs"));
    note("a connection is never made", 2, error.message());
}

// Would pass wrongly if the backend took the memory for something else first: the same calls without the fault go before.
#[test]
fn what_has_no_end_takes_no_memory_without_end() {
    let db = Db::fresh();
    let mut table = Table::new(&db, "memory", Config::default());
    table.session.run("SET embedding_backfill.max_attempts = 1");
    let backend = Process::of(&mut table.session);
    table.empty();
    table.embed_all().unwrap();
    let before = backend.peak_memory_kb();
    for fault in [Fault::GzipBomb, Fault::Flood] {
        table.empty();
        table.api.set(|config| config.faults = vec![(fault, 1)]);
        refused(table.embed_all(), "38000", "larger than 33554432 bytes", "");
        let more = backend.peak_memory_kb() - before;
        // An answer of 32 MiB, in memory that is doubled as it grows.
        assert!(more < 100_000, "{}: {more} kB more", words(fault));
    }
}
