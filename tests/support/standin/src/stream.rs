//! A connection's bytes: as they are, or through TLS.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};
use socket2::SockRef;

use crate::tls::Identity;

pub enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    /// The handshake is made when something is read.
    pub fn new(stream: TcpStream, identity: Option<&Identity>) -> io::Result<Stream> {
        let Some(identity) = identity else {
            return Ok(Stream::Plain(stream));
        };
        let tls = ServerConnection::new(identity.config()).map_err(io::Error::other)?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(tls, stream))))
    }

    /// Waits until the client has sent something or is gone, and reads nothing.
    pub fn has_bytes(&self) -> io::Result<bool> {
        Ok(self.socket().peek(&mut [0])? > 0)
    }

    /// Waits until the client is gone, without a word to it, not even of TLS.
    pub fn swallow(&self) -> io::Result<()> {
        io::copy(&mut self.socket(), &mut io::sink()).map(|_| ())
    }

    /// Has the end of the connection, once all that hold it let it go, be an RST.
    pub fn reset(&self) -> io::Result<()> {
        SockRef::from(self.socket()).set_linger(Some(Duration::ZERO))
    }

    /// Sends both at once; through TLS each in records of its own.
    pub fn write_two(&mut self, one: &[u8], two: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.write_all(&[one, two].concat()),
            Stream::Tls(tls) => {
                tls.conn.writer().write_all(one)?;
                tls.conn.writer().write_all(two)?;
                tls.flush()
            }
        }
    }

    /// The end as a good server makes it.
    pub fn close(&mut self) {
        if let Stream::Tls(tls) = self {
            tls.conn.send_close_notify();
            // The client may be gone.
            let _ = tls.flush();
        }
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(stream) => stream,
            Stream::Tls(tls) => &tls.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(buffer),
            Stream::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(bytes),
            Stream::Tls(tls) => tls.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write_vectored(slices),
            Stream::Tls(tls) => tls.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}
