//! One connection: reads its requests one after the other and writes what the service makes of them. It ends when the
//! client goes away, when a reply says so, or when the stand-in is dropped.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::config::Config;
use crate::delivery::{self, Parcel, Then};
use crate::errors::ApiError;
use crate::fault::{Fault, Stage};
use crate::http::{Body, Reader};
use crate::reply::Reply;
use crate::response::{Head, Response};
use crate::service::{self, Outcome};
use crate::shared::Shared;
use crate::spoil;
use crate::stream::Stream;

const JSON: &str = "application/json; charset=UTF-8";

pub fn serve(stream: TcpStream, id: u64, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let tls = shared.lock().config.tls.clone();
    let mut reader = Reader::new(Stream::new(stream, tls.as_ref())?);
    let mut buffer = Vec::new();
    // Not read, so that what strikes on arrival comes before TLS, too.
    let mut more = reader.stream().has_bytes()?;
    while more {
        let planned = shared.planned();
        let then = match planned {
            Some(Reply::Fault(fault)) if fault.stage() == Stage::Arrival => {
                shared.note(|stats| stats.faults += 1);
                arrival(fault, reader.stream(), shared)?
            }
            planned => answer(&mut reader, id, shared, planned, &mut buffer)?,
        };
        match then {
            Then::Next => more = reader.has_more()?,
            Then::Reset => return reader.stream().reset(),
            Then::Close => break,
        }
    }
    reader.stream().close();
    Ok(())
}

fn arrival(fault: Fault, stream: &Stream, shared: &Shared) -> io::Result<Then> {
    match fault {
        Fault::Refuse => shared.refuse(),
        Fault::Blackhole => stream.swallow()?,
        _ => return Ok(Then::Reset),
    }
    Ok(Then::Close)
}

/// Reads a request and answers it.
fn answer(
    reader: &mut Reader<Stream>,
    id: u64,
    shared: &Shared,
    planned: Option<Reply>,
    buffer: &mut Vec<u8>,
) -> io::Result<Then> {
    let Some(mut request) = reader.head(id)? else {
        return Ok(Then::Close);
    };
    let received = Instant::now();
    let in_flight = shared.arrived();
    if let Some(Reply::Fault(fault)) = planned
        && fault.stage() == Stage::Request
    {
        shared.note(|stats| stats.faults += 1);
        return Ok(Then::Reset);
    }
    if request.header_has("expect", "100-continue") {
        reader
            .stream()
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let too_large = match reader.body(&request)? {
        Body::Complete(body) => {
            request.body = body;
            false
        }
        Body::TooLarge => true,
    };
    let last = request.header_has("connection", "close");
    let (config, scripted) = shared.script(&request, planned);
    let outcome = match scripted {
        Reply::Serve => service::decide(shared, &config, &request, too_large),
        Reply::Fault(fault) => {
            let outcome = || service::decide(shared, &config, &request, too_large);
            match faulty(fault, reader.stream(), shared, outcome, &config)? {
                Ok(reply) => Outcome::Reply(reply),
                Err(then) => return Ok(then),
            }
        }
        reply => Outcome::Reply(reply),
    };
    let (status, content_type, header, body) = match outcome {
        Outcome::Answer(_) => (200, JSON.to_owned(), None, Vec::new()),
        Outcome::Reply(Reply::Error(ref error)) => {
            let body = error.json().into_bytes();
            (error.code(), JSON.to_owned(), None, body)
        }
        Outcome::Reply(Reply::Answer {
            status,
            ref content_type,
            ref header,
            ref body,
        }) => (status, content_type.clone(), header.clone(), body.clone()),
        Outcome::Reply(Reply::Raw(bytes)) => {
            reader.stream().write_all(&bytes)?;
            return Ok(Then::Close);
        }
        // In place, so that the request is in flight until the client goes away.
        Outcome::Reply(Reply::Hang) => return reader.drain().map(|_| Then::Close),
        // `Serve` and `Fault` have become answers above.
        Outcome::Reply(Reply::Close | Reply::Serve | Reply::Fault(_)) => return Ok(Then::Close),
    };
    shared.note(|stats| stats.count(status));
    let head = Head {
        status,
        content_type: &content_type,
        header,
        gzip: config.gzip && request.header_has("accept-encoding", "gzip"),
        date: config.now(),
        received,
    };
    let mut response = Response::new(reader.stream(), buffer, head);
    response.body().extend(body);
    if let Outcome::Answer(answer) = outcome {
        answer.write(&mut response, &config.semantics)?;
    }
    // Not later, or a client that has its answer and asks again at once would be counted twice.
    drop(in_flight);
    response.finish()?;
    Ok(if last { Then::Close } else { Then::Next })
}

/// What the service makes of a request that has a fault: a reply that goes its ordinary way, or what becomes of the
/// connection. A request that Google would refuse is refused.
fn faulty(
    fault: Fault,
    stream: &mut Stream,
    shared: &Shared,
    outcome: impl Fn() -> Outcome,
    config: &Config,
) -> io::Result<Result<Reply, Then>> {
    shared.note(|stats| stats.faults += 1);
    let mut parcel = Parcel::default();
    match fault {
        Fault::Refuse | Fault::Blackhole | Fault::ResetOnAccept | Fault::ResetInRequest => {
            return arrival(fault, stream, shared).map(Err);
        }
        Fault::Recorded(name) => {
            return Ok(Ok(Reply::Error(
                ApiError::recorded(name).hurried(config.minute),
            )));
        }
        fault if fault.stage() == Stage::Instead => {
            if let Some(reply) = spoil::instead(fault) {
                return Ok(Ok(reply));
            }
        }
        fault => match outcome() {
            Outcome::Answer(answer) => {
                let mut vectors = answer.vectors(&config.semantics);
                parcel.body = spoil::answer(fault, &vectors, answer.form, answer.tokens);
                if fault.stage() == Stage::Answer {
                    return Ok(Ok(Reply::json(200, parcel.body)));
                }
                vectors.reverse();
                parcel.second = spoil::answer(fault, &vectors, answer.form, answer.tokens);
            }
            Outcome::Reply(reply) => return Ok(Ok(reply)),
        },
    }
    delivery::send(fault, &parcel, stream, shared).map(Err)
}
