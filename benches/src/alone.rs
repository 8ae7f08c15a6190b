//! What the stand-in can serve when nothing is done with its answers: it must not be what the rest measures.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Instant,
};

use crate::{
    Bench,
    api::Api,
    lab::{BATCH, DIMENSIONS},
    measure::{Measure, Unit},
};

const REQUESTS: u32 = 500;
const CONNECTIONS: u32 = 2;
const KEY: &str = "AQ.key-of-the-benchmark";

pub fn measure(bench: &Bench) -> Vec<Measure> {
    let api = Api::start(KEY, &[]);
    let requests: Vec<Vec<u8>> = (0..10).map(request).collect();
    let each = (bench.options.rows(REQUESTS * BATCH) / BATCH / CONNECTIONS).max(1);
    let (mut by_cpu, mut by_time) = (Vec::new(), Vec::new());
    // The first round is not counted: vectors are prepared in it.
    for round in 0..=bench.options.rounds {
        let (began, cpu) = (Instant::now(), api.cpu());
        thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| ask(api.address(), &requests, each));
            }
        });
        let vectors = f64::from(CONNECTIONS * each * BATCH);
        if round > 0 {
            by_time.push(vectors / began.elapsed().as_secs_f64());
            by_cpu.push(vectors / (api.cpu() - cpu));
        }
    }
    vec![
        Measure::of(
            "alone.cpu",
            "stand-in alone, vectors a second of one core",
            Unit::Rate,
            by_cpu,
        )
        .at_least(40_000.0, 40_000.0),
        Measure::of(
            "alone.time",
            "  vectors/s, client on the same machine",
            Unit::Rate,
            by_time,
        ),
    ]
}

fn request(number: u32) -> Vec<u8> {
    let texts: Vec<String> = (0..BATCH)
        .map(|text| {
            let content = format!("text {number}.{text} {}", "word ".repeat(80));
            format!(
                r#"{{"model":"models/gemini-embedding-2","content":{{"parts":[{{"text":"{content}"}}]}},"outputDimensionality":{DIMENSIONS}}}"#
            )
        })
        .collect();
    let body = format!(r#"{{"requests":[{}]}}"#, texts.join(","));
    let head = format!(
        "POST /v1beta/models/gemini-embedding-2:batchEmbedContents HTTP/1.1\r\nHost: stand-in\r\n\
         x-goog-api-key: {KEY}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

/// Reads the answers and forgets them.
fn ask(address: &str, requests: &[Vec<u8>], times: u32) {
    const OK: &[u8] = b"HTTP/1.1 200 ";
    const END: &[u8] = b"\r\n0\r\n\r\n";
    let mut stream = TcpStream::connect(address).expect("the stand-in listens");
    let mut buffer = vec![0; 512 * 1024];
    for request in requests.iter().cycle().take(times as usize) {
        stream.write_all(request).expect("the stand-in reads");
        // What has arrived and may be the beginning of the end is kept for the next look.
        let (mut total, mut kept) = (0, 0);
        loop {
            let read = stream.read(&mut buffer[kept..]).expect("it answers");
            assert!(read > 0, "the stand-in has closed the connection");
            let arrived = &buffer[..kept + read];
            assert!(total > 0 || arrived.starts_with(OK), "it refuses");
            total += read;
            if arrived.ends_with(END) {
                break;
            }
            let tail = arrived.len() - END.len().min(arrived.len());
            kept = arrived.len() - tail;
            buffer.copy_within(tail..tail + kept, 0);
        }
        assert!(
            total > (BATCH * DIMENSIONS) as usize * 8,
            "{total} bytes are too few"
        );
    }
}
