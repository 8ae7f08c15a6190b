//! Each fault as a client sees it on the wire.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use common::*;
use google_standin::{Authority, Config, Fault, Flaw, Reply, Standin, vector};

/// How a connection was when nothing more came.
#[derive(Debug, PartialEq)]
enum End {
    Closed,
    Reset,
    Open,
}

/// All that comes for a request, and what comes after it.
fn sees(standin: &Standin) -> (String, End) {
    sees_some(standin, 1 << 20)
}

/// At most so many bytes.
fn sees_some(standin: &Standin, limit: u64) -> (String, End) {
    let mut stream = TcpStream::connect(standin.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let body = batch(MODEL, &["a", "b"], 128).to_string();
    let sent = stream.write_all(&request(&batch_path(MODEL), &body));
    let mut seen = Vec::new();
    let read = sent.and_then(|()| (&stream).take(limit).read_to_end(&mut seen));
    let end = match read.map_err(|error| error.kind()) {
        Ok(length) if length as u64 == limit => End::Open,
        Ok(_) => End::Closed,
        Err(ErrorKind::WouldBlock) => End::Open,
        Err(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => End::Reset,
        Err(other) => panic!("{other}"),
    };
    (String::from_utf8_lossy(&seen).into_owned(), end)
}

fn with(fault: Fault) -> Standin {
    Standin::start(Config {
        replies: [Reply::Fault(fault)].into(),
        ..Config::default()
    })
}

#[test]
fn each_ends_as_its_name_says() {
    // At the same time, since most that is to be seen is that nothing comes.
    thread::scope(|scope| {
        for fault in Fault::all() {
            scope.spawn(move || ends_as_its_name_says(fault));
        }
    });
}

fn ends_as_its_name_says(fault: Fault) {
    let standin = with(fault);
    let limit = if fault == Fault::Drip { 200 } else { 1 << 20 };
    let (seen, end) = sees_some(&standin, limit);
    let length = || {
        let (_, length) = seen.split_once("Content-Length: ").unwrap();
        length
            .split("\r\n")
            .next()
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };
    let body = seen.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let expected = match fault {
        Fault::Refuse | Fault::EmptyAnswer => seen.is_empty() && end == End::Closed,
        Fault::Blackhole => seen.is_empty() && end == End::Open,
        Fault::ResetOnAccept | Fault::ResetInRequest | Fault::ResetAfterRequest => {
            seen.is_empty() && end == End::Reset
        }
        Fault::ResetInHead => seen.starts_with("HTTP/1.1 ") && body.is_empty() && end == End::Reset,
        Fault::ResetInBody => body.contains("values") && body.len() < length() && end == End::Reset,
        Fault::ByteByByte => body.len() == length() && end == End::Open,
        Fault::Drip => body.len() < length(),
        Fault::Truncated => {
            seen.contains("chunked") && !body.ends_with("\r\n0\r\n\r\n") && end == End::Closed
        }
        Fault::LengthTooLong => body.len() + 100 == length() && end == End::Closed,
        Fault::LengthTooShort => body.len().abs_diff(2 * length()) <= 1 && end == End::Open,
        Fault::BadChunks => body.starts_with("many\r\n") && end == End::Closed,
        Fault::TwoAnswers => seen.matches("HTTP/1.1 200").count() == 2 && end == End::Open,
        Fault::GzipBomb => seen.contains("gzip") && length() < 1 << 19,
        Fault::Flood => seen.len() == 1 << 20 && body.matches(' ').count() > 1_000_000,
        Fault::EndlessHead => seen.len() == 1 << 20 && body.is_empty(),
        Fault::NotHttp => seen.starts_with("220 ") && end == End::Closed,
        Fault::Redirect(status) => {
            seen.starts_with(&format!("HTTP/1.1 {status} "))
                && seen.contains("Location: http://elsewhere.invalid/v1beta\r\n")
        }
        Fault::Status(status) => seen.starts_with(&format!("HTTP/1.1 {status} ")),
        Fault::Forbidden => seen.starts_with("HTTP/1.1 403 "),
        Fault::BadGateway => seen.starts_with("HTTP/1.1 502 "),
        Fault::Recorded(name) => seen.starts_with(&format!("HTTP/1.1 {} ", &name[..3])),
        // What is in them is tested where it is made.
        _ => seen.starts_with("HTTP/1.1 200 ") && body.ends_with("0\r\n\r\n") && end == End::Open,
    };
    assert!(expected, "{fault}: {end:?} {seen:.300}");
    assert_eq!(standin.stats().faults, 1, "{fault}");
    // But for the one that lasts, the next request is served.
    if fault != Fault::Refuse {
        let mut client = Client::new(&standin);
        let vectors = embed(&mut client, MODEL, &["c"], 128).vectors();
        assert_eq!(vectors, [vector("c", MODEL, 128)], "{fault}");
    }
}

#[test]
fn what_comes_to_nothing_on_its_way_back_is_billed() {
    for (fault, billed) in [
        (Fault::ResetInRequest, 0),
        (Fault::Html, 0),
        (Fault::ResetAfterRequest, 2),
        (Fault::Truncated, 2),
        (Fault::Fewer, 2),
    ] {
        let standin = with(fault);
        sees(&standin);
        assert_eq!(standin.stats().texts_billed, billed, "{fault}");
    }
}

#[test]
fn nobody_listens_for_as_long_as_it_is_told() {
    let standin = Standin::start(Config::default());
    let mut client = Client::new(&standin);
    assert_eq!(embed(&mut client, MODEL, &["a"], 128).status, 200);
    standin.refuse();
    assert!(client.receive().is_none());
    let refused = TcpStream::connect(standin.address()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    standin.listen();
    let mut client = Client::new(&standin);
    assert_eq!(embed(&mut client, MODEL, &["a"], 128).status, 200);
    standin.refuse();
}

#[test]
fn each_nth_request_has_its_fault() {
    let (_standin, mut client) = start(Config {
        faults: vec![
            (Fault::Status(499), 3),
            (Fault::Recorded("503_overloaded"), 2),
        ],
        ..Config::default()
    });
    let statuses: Vec<u16> = (0..7)
        .map(|_| {
            client
                .post(&batch_path(MODEL), &batch(MODEL, &["a"], 128))
                .status
        })
        .collect();
    assert_eq!(statuses, [200, 503, 499, 503, 200, 499, 200]);
}

#[test]
fn a_recorded_429_is_for_a_minute_of_this_length() {
    let (standin, mut client) = start(Config {
        minute: Duration::from_secs(6),
        ..Config::default()
    });
    let fault = Fault::Recorded("429_free_tier_per_minute_embedding-001");
    standin.set(|config| config.replies = [Reply::Fault(fault)].into());
    let answer = embed(&mut client, MODEL, &["a"], 128).json().to_string();
    assert!(
        answer.contains(r#""retryDelay":"3.300000000s""#),
        "{answer}"
    );
}

#[test]
fn the_program_has_the_faults_as_flags() {
    let start = |flags: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_google-standin"))
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let said = |flags: &[&str]| {
        let output = start(flags).wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    let (_, help) = said(&["--help"]);
    for fault in Fault::all() {
        assert!(help.contains(&format!("\n  {fault} ")), "{fault}");
    }
    for wrong in ["nothing", "drip:", "drip:0", "drip:x"] {
        let (ok, said) = said(&["--fault", wrong]);
        assert!(!ok && said.contains(wrong), "{said}");
    }
    for (flags, refused) in [
        (["--fault", "refuse"], true),
        (["--fault", "status-418:1"], false),
    ] {
        let mut program = start(&flags);
        let mut line = [0; 100];
        let read = program.stdout.as_mut().unwrap().read(&mut line).unwrap();
        let line = String::from_utf8_lossy(&line[..read]);
        let address = line.split('/').nth(2).unwrap();
        let mut answer = String::new();
        match TcpStream::connect(address) {
            Ok(mut stream) => {
                let head = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
                stream.write_all(head).unwrap();
                let mut status = [0; 12];
                stream.read_exact(&mut status).unwrap();
                answer = String::from_utf8_lossy(&status).into_owned();
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
        }
        assert_eq!(answer, if refused { "" } else { "HTTP/1.1 418" });
        program.kill().unwrap();
        program.wait().unwrap();
    }
}

#[test]
fn tls_is_spoken_where_there_is_a_proof() {
    let standin = Standin::start(Config {
        tls: Some(Authority::new("test").identity(Flaw::None)),
        ..Config::default()
    });
    assert!(standin.base_url().starts_with("https://127.0.0.1:"));
    // A clear-text client gets an alert.
    let (seen, end) = sees(&standin);
    assert_eq!((seen.as_bytes().first(), end), (Some(&21), End::Closed));
    assert_eq!(standin.stats().requests, 0);
}
