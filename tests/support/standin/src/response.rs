//! Writing one HTTP answer: Google's response headers, chunked, compressed when the client may have it so. The body is
//! sent while it is made, so that an answer of any size costs one buffer, which connections use again and again.

use std::io::{self, IoSlice, Write};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;

const CHUNK: usize = 64 * 1024;

pub struct Response<'a, W> {
    stream: W,
    /// What goes before the next chunk: at first the head.
    frame: Vec<u8>,
    buffer: &'a mut Vec<u8>,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

/// What the head of an answer says.
pub struct Head<'a> {
    pub status: u16,
    pub content_type: &'a str,
    /// One more header.
    pub header: Option<String>,
    pub gzip: bool,
    pub date: SystemTime,
    pub received: Instant,
}

impl<'a, W: Write> Response<'a, W> {
    /// Nothing is sent before the first chunk is full or the answer is finished.
    pub fn new(stream: W, buffer: &'a mut Vec<u8>, head: Head) -> Self {
        buffer.clear();
        let Head { status, gzip, .. } = head;
        let content_type = head.content_type;
        let encoding = if gzip {
            "Content-Encoding: gzip\r\n"
        } else {
            ""
        };
        let header = match head.header {
            Some(line) => format!("{line}\r\n"),
            None => String::new(),
        };
        let head = format!(
            "HTTP/1.1 {status} {}\r\n\
             Vary: Origin\r\n\
             Content-Type: {content_type}\r\n\
             {encoding}{header}\
             Date: {}\r\n\
             Server: scaffolding on HTTPServer2\r\n\
             X-Xss-Protection: 0\r\n\
             X-Frame-Options: SAMEORIGIN\r\n\
             X-Content-Type-Options: nosniff\r\n\
             Server-Timing: gfet4t7; dur={}\r\n\
             Alt-Svc: h3=\":443\"; ma=2592000,h3-29=\":443\"; ma=2592000\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
            reason(status),
            http_date(head.date),
            head.received.elapsed().as_millis(),
        );
        let encoder = || GzEncoder::new(Vec::new(), Compression::fast());
        Response {
            stream,
            frame: head.into_bytes(),
            buffer,
            gzip: gzip.then(encoder),
        }
    }

    /// Where the body is appended to.
    pub fn body(&mut self) -> &mut Vec<u8> {
        self.buffer
    }

    /// Sends what was appended once it is worth a chunk.
    pub fn flush_full(&mut self) -> io::Result<()> {
        if self.buffer.len() < CHUNK {
            return Ok(());
        }
        self.compress()?;
        match self.buffer.len() {
            0 => Ok(()),
            _ => self.send(b"\r\n"),
        }
    }

    pub fn finish(mut self) -> io::Result<()> {
        self.compress()?;
        if let Some(gzip) = self.gzip.take() {
            self.buffer.extend(gzip.finish()?);
        }
        match self.buffer.len() {
            0 => {
                self.frame.extend(b"0\r\n\r\n");
                self.stream.write_all(&self.frame)
            }
            _ => self.send(b"\r\n0\r\n\r\n"),
        }
    }

    /// Puts the compressed form into the place of what is in the buffer.
    fn compress(&mut self) -> io::Result<()> {
        if let Some(gzip) = &mut self.gzip {
            gzip.write_all(self.buffer)?;
            self.buffer.clear();
            self.buffer.append(gzip.get_mut());
        }
        Ok(())
    }

    fn send(&mut self, end: &[u8]) -> io::Result<()> {
        write!(self.frame, "{:x}\r\n", self.buffer.len())?;
        let mut slices = [&self.frame, self.buffer.as_slice(), end].map(IoSlice::new);
        let mut slices = &mut slices[..];
        while !slices.is_empty() {
            match self.stream.write_vectored(slices)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => IoSlice::advance_slices(&mut slices, written),
            }
        }
        self.frame.clear();
        self.buffer.clear();
        Ok(())
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unnamed",
    }
}

/// The date as HTTP writes it, such as `Wed, 19 Aug 2026 14:34:12 GMT`.
fn http_date(time: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let days = seconds / 86_400;
    // Years that begin in March, so that the leap day is the last of its year; day 0 is 1 March 2000.
    let since = days as i64 - 11_017;
    let (era, day) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let year = 2000 + era * 400 + year + i64::from(month >= 10);
    format!(
        "{}, {date:02} {} {year} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        MONTHS[((month + 2) % 12) as usize],
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_right_around_leap_days() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT"),
            (1_709_251_200, "Fri, 01 Mar 2024 00:00:00 GMT"),
            (1_787_150_052, "Wed, 19 Aug 2026 14:34:12 GMT"),
            (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"),
        ] {
            assert_eq!(
                http_date(UNIX_EPOCH + Duration::from_secs(seconds)),
                expected
            );
        }
    }
}
