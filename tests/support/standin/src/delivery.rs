//! Answers that go wrong on the wire. Each function ends with what becomes of the connection.

use std::io::{self, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::fault::Fault;
use crate::shared::Shared;
use crate::stream::Stream;

/// What comes after an answer on its connection.
pub enum Then {
    Close,
    /// RST instead of a proper end.
    Reset,
    /// The next request.
    Next,
}

/// The body of a 200 on its way, with the one that `TwoAnswers` has behind it.
#[derive(Default)]
pub struct Parcel {
    pub body: Vec<u8>,
    pub second: Vec<u8>,
}

/// Sends the answer as `fault` has it.
pub fn send(
    fault: Fault,
    parcel: &Parcel,
    stream: &mut Stream,
    shared: &Shared,
) -> io::Result<Then> {
    let body = parcel.body.as_slice();
    let (first, rest) = body.split_at(body.len() / 2);
    let length = |length: usize| head(&format!("Content-Length: {length}\r\n"));
    match fault {
        Fault::ResetAfterRequest => return Ok(Then::Reset),
        Fault::EmptyAnswer => {}
        Fault::ResetInHead => {
            let head = length(body.len());
            stream.write_all(&head[..head.len() / 2])?;
            return Ok(Then::Reset);
        }
        Fault::ResetInBody => {
            stream.write_all(&[&length(body.len()), first].concat())?;
            return Ok(Then::Reset);
        }
        Fault::ByteByByte | Fault::Drip => {
            let whole = [&length(body.len()), body].concat();
            for byte in whole.chunks(1) {
                stream.write_all(byte)?;
                if fault == Fault::Drip {
                    shared.pause(Duration::from_millis(5));
                }
            }
            return Ok(Then::Next);
        }
        Fault::Truncated => {
            let chunk = format!("{:x}\r\n", first.len());
            let head = head("Transfer-Encoding: chunked\r\n");
            stream.write_all(&[&head, chunk.as_bytes(), first, b"\r\n"].concat())?;
        }
        Fault::LengthTooLong => stream.write_all(&[&length(body.len() + 100), body].concat())?,
        Fault::LengthTooShort => {
            stream.write_all(&[&length(first.len()), first, rest].concat())?;
            wait(stream)?;
        }
        Fault::BadChunks => {
            let head = head("Transfer-Encoding: chunked\r\n");
            stream.write_all(&[&head, b"many\r\n".as_slice(), body, b"\r\n0\r\n\r\n"].concat())?;
        }
        Fault::TwoAnswers => {
            let first = [&length(body.len()), body].concat();
            let second = [&length(parcel.second.len()), parcel.second.as_slice()].concat();
            stream.write_two(&first, &second)?;
            return Ok(Then::Next);
        }
        Fault::GzipBomb => {
            let bomb = bomb()?;
            let framing = format!(
                "Content-Encoding: gzip\r\nContent-Length: {}\r\n",
                bomb.len()
            );
            stream.write_all(&[head(&framing), bomb].concat())?;
            wait(stream)?;
        }
        Fault::Flood => {
            stream.write_all(&head("Transfer-Encoding: chunked\r\n"))?;
            let blanks = [b"10000\r\n".as_slice(), &[b' '; 1 << 16], b"\r\n"].concat();
            return endless(&blanks, stream);
        }
        Fault::EndlessHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            return endless(&b"X-Filler: nothing\r\n".repeat(100), stream);
        }
        Fault::NotHttp => stream.write_all(b"220 mail.example.com ESMTP\r\n")?,
        Fault::Redirect(status) => {
            let elsewhere = &shared.lock().config.elsewhere.clone();
            let head = format!(
                "HTTP/1.1 {status} Moved\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n"
            );
            stream.write_all(head.as_bytes())?;
            return Ok(Then::Next);
        }
        // Those that are answers have gone their ordinary way.
        _ => {}
    }
    Ok(Then::Close)
}

fn head(framing: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{framing}\r\n").into()
}

/// Until the client goes away.
fn wait(stream: &mut Stream) -> io::Result<()> {
    io::copy(stream, &mut io::sink()).map(drop)
}

/// Until the client has had enough.
fn endless(piece: &[u8], stream: &mut Stream) -> io::Result<Then> {
    loop {
        stream.write_all(piece)?;
    }
}

/// 256 MiB of blanks, each MiB packed for itself: the pieces of a gzip file may simply follow each other.
fn bomb() -> io::Result<Vec<u8>> {
    let mut piece = GzEncoder::new(Vec::new(), Compression::best());
    piece.write_all(&[b' '; 1 << 20])?;
    Ok(piece.finish()?.repeat(256))
}
