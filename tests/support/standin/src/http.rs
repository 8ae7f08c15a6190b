//! Reading HTTP/1.1 requests off a connection: kept alive, pipelined, split anywhere, with a length or chunked. It knows
//! nothing of what they ask for.

use std::io::{self, Read};

use crate::request::Request;

/// Google's limit.
const MAX_BODY: u64 = 20_971_520;
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 64;

pub struct Reader<R> {
    stream: R,
    /// What was read from the stream and not yet used starts at `start`.
    buffer: Vec<u8>,
    start: usize,
}

pub enum Body {
    Complete(Vec<u8>),
    TooLarge,
}

impl<R: Read> Reader<R> {
    pub fn new(stream: R) -> Self {
        Reader {
            stream,
            buffer: Vec::new(),
            start: 0,
        }
    }

    /// What is read from, to write to it.
    pub fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// Waits for the first byte of another request; false when the client has closed the connection.
    pub fn has_more(&mut self) -> io::Result<bool> {
        Ok(self.start < self.buffer.len() || self.fill()? > 0)
    }

    /// The next request without its body; `None` when the client has closed the connection.
    pub fn head(&mut self, connection: u64) -> io::Result<Option<Request>> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut head = httparse::Request::new(&mut headers);
            let unused = &self.buffer[self.start..];
            match head.parse(unused).map_err(malformed)? {
                httparse::Status::Complete(length) => {
                    let header = |header: &httparse::Header| {
                        let value = String::from_utf8_lossy(header.value);
                        (header.name.to_owned(), value.into_owned())
                    };
                    let request = Request {
                        connection,
                        method: head.method.unwrap_or_default().to_owned(),
                        path: head.path.unwrap_or_default().to_owned(),
                        headers: head.headers.iter().map(header).collect(),
                        body: Vec::new(),
                    };
                    self.start += length;
                    return Ok(Some(request));
                }
                httparse::Status::Partial if unused.len() > MAX_HEAD => {
                    return Err(malformed("the head has no end"));
                }
                httparse::Status::Partial if self.fill()? == 0 => {
                    return match self.buffer.len() - self.start {
                        0 => Ok(None),
                        _ => Err(io::ErrorKind::UnexpectedEof.into()),
                    };
                }
                httparse::Status::Partial => {}
            }
        }
    }

    /// Reads the body that belongs to the head; one that is too large is read too, so that the answer arrives.
    pub fn body(&mut self, head: &Request) -> io::Result<Body> {
        let mut body = Vec::new();
        let mut length = 0;
        if head.header_has("transfer-encoding", "chunked") {
            loop {
                let size = self.chunk_size()?;
                length += size;
                self.take(size, length, &mut body)?;
                self.line_end()?;
                if size == 0 {
                    break;
                }
            }
        } else if let Some(given) = head.header("content-length") {
            length = given.parse().map_err(malformed)?;
            self.take(length, length, &mut body)?;
        }
        Ok(match length {
            ..=MAX_BODY => Body::Complete(body),
            _ => Body::TooLarge,
        })
    }

    /// Reads and forgets until the client goes away.
    pub fn drain(&mut self) -> io::Result<u64> {
        io::copy(&mut self.stream, &mut io::sink())
    }

    /// Moves `size` bytes into `body`, or nowhere once the body's `length` so far is beyond the limit.
    fn take(&mut self, size: u64, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
        let buffered = (self.buffer.len() - self.start).min(size.try_into().unwrap_or(usize::MAX));
        let rest = size - buffered as u64;
        let mut source =
            self.buffer[self.start..self.start + buffered].chain(self.stream.by_ref().take(rest));
        let taken = if length > MAX_BODY {
            io::copy(&mut source, &mut io::sink())?
        } else {
            body.reserve(size as usize);
            source.read_to_end(body)? as u64
        };
        self.start += buffered;
        match taken == size {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn chunk_size(&mut self) -> io::Result<u64> {
        loop {
            let unused = &self.buffer[self.start..];
            let parsed = httparse::parse_chunk_size(unused);
            match parsed.map_err(|_| malformed("a chunk has no size"))? {
                httparse::Status::Complete((length, size)) => {
                    self.start += length;
                    return Ok(size);
                }
                httparse::Status::Partial => self.need_more()?,
            }
        }
    }

    fn line_end(&mut self) -> io::Result<()> {
        while self.buffer.len() - self.start < 2 {
            self.need_more()?;
        }
        self.start += 2;
        match &self.buffer[self.start - 2..self.start] {
            b"\r\n" => Ok(()),
            _ => Err(malformed("a chunk has no end")),
        }
    }

    fn need_more(&mut self) -> io::Result<()> {
        match self.fill()? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + 16 * 1024, 0);
        let read = self.stream.read(&mut self.buffer[length..]);
        self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
        read
    }
}

fn malformed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
