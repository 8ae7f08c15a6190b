//! HTTP as clients may speak it, and the replies and faults a script may give.

mod common;

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use flate2::read::GzDecoder;
use google_standin::{Config, Reply, Standin, vector};

/// Long enough never to be waited for in full.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_connection_is_kept_for_many_requests() {
    let (standin, mut client) = start(Config::default());
    for text in ["a", "b", "c"] {
        assert_eq!(
            embed(&mut client, MODEL, &[text], 128).vectors(),
            [vector(text, MODEL, 128)]
        );
    }
    let stats = standin.stats();
    assert_eq!((stats.connections, stats.requests, stats.texts), (1, 3, 3));
    assert_eq!((stats.in_flight, stats.max_in_flight), (0, 1));
}

#[test]
fn answers_carry_googles_headers() {
    let (_standin, mut client) = start(Config::default());
    let answer = embed(&mut client, MODEL, &["a"], 128);
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=UTF-8")
    );
    assert_eq!(answer.header("server"), Some("scaffolding on HTTPServer2"));
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert_eq!(answer.header("content-length"), None);
    assert!(
        answer
            .header("server-timing")
            .unwrap()
            .starts_with("gfet4t7; dur=")
    );
    assert!(answer.header("date").unwrap().ends_with(" GMT"));
}

#[test]
fn requests_may_be_pipelined_and_split_anywhere() {
    let (_standin, mut client) = start(Config::default());
    let mut bytes = Vec::new();
    for text in ["one", "two", "three"] {
        let body = batch(MODEL, &[text], 128).to_string();
        bytes.extend(request(&batch_path(MODEL), &body));
    }
    for piece in bytes.chunks(97) {
        client.send(piece);
    }
    for text in ["one", "two", "three"] {
        assert_eq!(
            client.receive().unwrap().vectors(),
            [vector(text, MODEL, 128)]
        );
    }
}

#[test]
fn a_body_may_be_chunked_and_wait_for_the_word_to_go_on() {
    let (_standin, mut client) = start(Config::default());
    let body = batch(MODEL, &["chunked"], 128).to_string();
    let path = batch_path(MODEL);
    let head = format!("POST {path} HTTP/1.1\r\nx-goog-api-key: {KEY}\r\nExpect: 100-continue\r\n");
    client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
    for piece in body.as_bytes().chunks(50) {
        client.send(format!("{:x}\r\n", piece.len()).as_bytes());
        client.send(piece);
        client.send(b"\r\n");
    }
    client.send(b"0\r\n\r\n");
    client.expect_continue();
    assert_eq!(
        client.receive().unwrap().vectors(),
        [vector("chunked", MODEL, 128)]
    );
}

#[test]
fn answers_are_compressed_for_those_who_ask() {
    let (standin, mut client) = start(Config::default());
    let texts: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let body = batch(MODEL, &texts, 768).to_string();
    let bytes = String::from_utf8(request(&batch_path(MODEL), &body)).unwrap();
    let bytes = bytes.replacen("\r\n", "\r\nAccept-Encoding: br;q=1, gzip;q=0.5\r\n", 1);
    client.send(bytes.as_bytes());
    let mut answer = client.receive().unwrap();
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut unpacked = Vec::new();
    GzDecoder::new(answer.body.as_slice())
        .read_to_end(&mut unpacked)
        .unwrap();
    assert!(answer.body.len() * 2 < unpacked.len());
    answer.body = unpacked;
    assert_eq!(answer.vectors()[19], vector("19", MODEL, 768));

    standin.set(|config| config.gzip = false);
    client.send(bytes.as_bytes());
    let answer = client.receive().unwrap();
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.vectors().len(), 20);
}

#[test]
fn a_connection_ends_when_the_client_wants_it_to() {
    let (_standin, mut client) = start(Config::default());
    client.send(b"POST / HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_eq!(client.receive().unwrap().status, 404);
    assert!(client.receive().is_none());
}

#[test]
fn replies_come_in_the_order_they_were_queued() {
    let (standin, mut client) = start(Config::default());
    standin.set(|config| {
        config.replies.extend([
            Reply::Serve,
            Reply::recorded("503_overloaded"),
            Reply::json(200, "{}"),
            Reply::Raw(b"HTTP/1.1 200 OK\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_vec()),
            Reply::Close,
        ]);
    });
    assert_eq!(embed(&mut client, MODEL, &["a"], 128).status, 200);
    let answer = embed(&mut client, MODEL, &["a"], 128);
    assert_eq!(
        answer.message(),
        "The model is overloaded. Please try again later."
    );
    assert_eq!(embed(&mut client, MODEL, &["a"], 128).body, b"{}");
    assert_eq!(embed(&mut client, MODEL, &["a"], 128).body, b"{}");
    let mut client = Client::new(&standin);
    client.send(&request(&batch_path(MODEL), "{}"));
    assert!(client.receive().is_none());
    let mut client = Client::new(&standin);
    assert_eq!(embed(&mut client, MODEL, &["a"], 128).status, 200);
    let stats = standin.stats();
    assert_eq!(
        (stats.requests, stats.texts_billed, stats.connections),
        (6, 2, 3)
    );
}

#[test]
fn a_script_sees_the_request_it_decides_on() {
    let config = Config::default().script(|request| {
        let poor = request.texts().contains(&"poor".to_owned());
        poor.then(|| Reply::recorded("500_internal"))
    });
    let (standin, mut client) = start(config);
    assert_eq!(embed(&mut client, MODEL, &["a", "poor"], 128).status, 500);
    assert_eq!(embed(&mut client, MODEL, &["a", "rich"], 128).status, 200);
    assert!(standin.requests().is_empty(), "nothing is kept unasked");
}

#[test]
fn poison_spoils_the_whole_request() {
    let (standin, mut client) = start(Config {
        poison: Some("POISON".into()),
        ..Config::default()
    });
    assert_eq!(
        embed(&mut client, MODEL, &["a", "b POISON c"], 128).status,
        400
    );
    assert_eq!(embed(&mut client, MODEL, &["a", "b"], 128).status, 200);
    let stats = standin.stats();
    assert_eq!(
        (stats.texts, stats.texts_billed, stats.answered_error),
        (4, 2, 1)
    );
}

#[test]
fn requests_are_kept_when_asked_for() {
    let (standin, mut client) = start(Config {
        record: true,
        ..Config::default()
    });
    embed(&mut client, MODEL, &["a", "b"], 128);
    let requests = standin.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].connection, &*requests[0].method), (1, "POST"));
    assert_eq!(requests[0].path, batch_path(MODEL));
    assert_eq!(requests[0].header("X-Goog-API-Key"), Some(KEY));
    assert_eq!(requests[0].texts(), ["a", "b"]);
    assert_eq!(requests[0].json(), batch(MODEL, &["a", "b"], 128));
}

#[test]
fn requests_in_flight_are_counted_while_they_wait() {
    let standin = Standin::start(Config {
        latency: LONG,
        ..Config::default()
    });
    let mut clients: Vec<_> = (0..5).map(|_| Client::new(&standin)).collect();
    for client in &mut clients {
        let body = batch(MODEL, &["a"], 128).to_string();
        client.send(&request(&batch_path(MODEL), &body));
    }
    // A request whose texts are counted has seen the configuration.
    assert!(standin.wait_until(LONG, |stats| stats.texts == 5));
    let stats = standin.stats();
    assert_eq!((stats.in_flight, stats.max_in_flight), (5, 5));
    standin.set(|config| config.latency = Duration::ZERO);
    let mut client = Client::new(&standin);
    assert_eq!(embed(&mut client, MODEL, &["a"], 128).status, 200);
    let stats = standin.stats();
    assert_eq!((stats.in_flight, stats.max_in_flight), (5, 6));
}

#[test]
fn latency_comes_before_the_answer() {
    let latency = Duration::from_millis(80);
    let (_standin, mut client) = start(Config {
        latency,
        ..Config::default()
    });
    let asked = Instant::now();
    embed(&mut client, MODEL, &["a"], 128);
    assert!(asked.elapsed() >= latency);
}

#[test]
fn a_hung_request_ends_with_its_client_or_with_the_stand_in() {
    let config = Config::default().script(|_| Some(Reply::Hang));
    let standin = Standin::start(config);
    let mut gone = Client::new(&standin);
    gone.send(&request(&batch_path(MODEL), "{}"));
    assert!(standin.wait_until(LONG, |stats| stats.in_flight == 1));
    drop(gone);
    assert!(standin.wait_until(LONG, |stats| stats.in_flight == 0));

    let mut waiting = Client::new(&standin);
    waiting.send(&request(&batch_path(MODEL), "{}"));
    assert!(standin.wait_until(LONG, |stats| stats.in_flight == 1));
    let waits = thread::spawn(move || waiting.receive().is_none());
    drop(standin);
    assert!(waits.join().unwrap());
}
