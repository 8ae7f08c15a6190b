//! One connection: reads its requests one after the other and writes what the service makes of them. It ends when the
//! client goes away, when a reply says so, or when the stand-in is dropped.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::http::{Body, Reader};
use crate::reply::Reply;
use crate::response::Response;
use crate::service::{self, Outcome};
use crate::shared::Shared;

const JSON: &str = "application/json; charset=UTF-8";

pub fn serve(mut stream: TcpStream, id: u64, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = Reader::new(stream.try_clone()?);
    let mut buffer = Vec::new();
    while let Some(mut request) = reader.head(id)? {
        let received = Instant::now();
        let in_flight = shared.arrived();
        if request.header_has("expect", "100-continue") {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let too_large = match reader.body(&request)? {
            Body::Complete(body) => {
                request.body = body;
                false
            }
            Body::TooLarge => true,
        };
        let last = request.header_has("connection", "close");
        let (config, scripted) = shared.script(&request);
        let outcome = match scripted {
            Reply::Serve => service::decide(shared, &config, &request, too_large),
            reply => Outcome::Reply(reply),
        };
        let (status, content_type, body) = match outcome {
            Outcome::Answer(_) => (200, JSON.to_owned(), Vec::new()),
            Outcome::Reply(Reply::Error(ref error)) => {
                (error.code(), JSON.to_owned(), error.json().into_bytes())
            }
            Outcome::Reply(Reply::Answer {
                status,
                ref content_type,
                ref body,
            }) => (status, content_type.clone(), body.clone()),
            Outcome::Reply(Reply::Raw(bytes)) => return stream.write_all(&bytes),
            Outcome::Reply(Reply::Hang) => return reader.drain().map(|_| ()),
            // `Serve` has become an answer above.
            Outcome::Reply(Reply::Close | Reply::Serve) => return Ok(()),
        };
        shared.note(|stats| stats.count(status));
        let gzip = config.gzip && request.header_has("accept-encoding", "gzip");
        let mut response = Response::new(
            &mut stream,
            &mut buffer,
            status,
            &content_type,
            gzip,
            received,
        );
        response.body().extend(body);
        if let Outcome::Answer(answer) = outcome {
            answer.write(&mut response, &config.semantics)?;
        }
        // Not later, or a client that has its answer and asks again at once would be counted twice.
        drop(in_flight);
        response.finish()?;
        if last {
            break;
        }
    }
    Ok(())
}
