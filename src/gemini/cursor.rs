//! A place in a JSON text that is read from front to back, without a tree of it. Objects and arrays are
//! walked here; what stands in them and is no vector is serde_json's to read. What runs for each number is to be
//! inlined, in whatever unit its reader is compiled: without that it takes a tenth longer.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};

use super::numbers;

pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// Why a text is not what it should be, and from which byte on.
#[derive(Debug, PartialEq)]
pub struct Malformed {
    pub reason: String,
    pub at: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.at)
    }
}

impl<'a> Cursor<'a> {
    pub fn new(body: &'a [u8]) -> Result<Cursor<'a>, Malformed> {
        match std::str::from_utf8(body) {
            Ok(text) => Ok(Cursor { text, at: 0 }),
            Err(error) => Err(Malformed {
                reason: "invalid UTF-8".into(),
                at: error.valid_up_to(),
            }),
        }
    }

    pub fn malformed(&self, reason: impl Into<String>) -> Malformed {
        Malformed {
            reason: reason.into(),
            at: self.at,
        }
    }

    /// Calls `member` with each key, when the cursor is at its value.
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.list(b'{', b'}', |cursor| {
            let key: String = cursor.value()?;
            cursor.expect(b':')?;
            member(cursor, &key)
        })
    }

    /// Calls `element` when the cursor is at each of them.
    #[inline]
    pub fn array(
        &mut self,
        element: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.list(b'[', b']', element)
    }

    #[inline]
    pub fn number(&mut self) -> Result<f32, Malformed> {
        let Some((number, length)) = numbers::number(self.rest()) else {
            return Err(self.malformed("no number that a vector could have"));
        };
        self.at += length;
        Ok(number)
    }

    pub fn value<T: DeserializeOwned>(&mut self) -> Result<T, Malformed> {
        let mut values = serde_json::Deserializer::from_str(&self.text[self.at..]).into_iter();
        match values.next() {
            Some(Ok(value)) => {
                self.at += values.byte_offset();
                Ok(value)
            }
            Some(Err(error)) => {
                // Its line and column count from here, which says nothing.
                let words = error.to_string();
                let reason = words.split(" at line ").next();
                Err(self.malformed(reason.unwrap_or_default()))
            }
            None => Err(self.malformed("the end of the text")),
        }
    }

    /// Past a value of any kind, which must be one all the same.
    pub fn skip(&mut self) -> Result<(), Malformed> {
        self.value().map(|Anything| ())
    }

    /// Nothing may follow.
    pub fn end(&mut self) -> Result<(), Malformed> {
        self.blank();
        match self.rest() {
            [] => Ok(()),
            _ => Err(self.malformed("more text behind the end")),
        }
    }

    #[inline]
    fn list(
        &mut self,
        open: u8,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.expect(open)?;
        if self.take(close) {
            return Ok(());
        }
        loop {
            self.blank();
            item(self)?;
            self.blank();
            match self.rest().first() {
                Some(b',') => self.at += 1,
                Some(mark) if *mark == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.malformed(format!("neither ',' nor {:?}", char::from(close)))),
            }
        }
    }

    fn expect(&mut self, mark: u8) -> Result<(), Malformed> {
        match self.take(mark) {
            true => Ok(()),
            false => Err(self.malformed(format!("no {:?}", char::from(mark)))),
        }
    }

    fn take(&mut self, mark: u8) -> bool {
        self.blank();
        let there = self.rest().first() == Some(&mark);
        self.at += usize::from(there);
        there
    }

    /// Past white space. A pretty answer has a line for each number, so it is much of the text.
    #[inline]
    fn blank(&mut self) {
        let mut rest = self.rest();
        loop {
            rest = match rest {
                [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] => rest,
                _ => break,
            };
            while rest.first_chunk() == Some(b"        ") {
                rest = &rest[8..];
            }
        }
        self.at = self.text.len() - rest.len();
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }
}

/// Reads all of a value and keeps nothing of it. `IgnoredAny` looks less closely.
struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Anything, D::Error> {
        from.deserialize_any(Anything)
    }
}

impl<'de> Visitor<'de> for Anything {
    type Value = Anything;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_str<E>(self, _: &str) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_unit<E>(self) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Anything, A::Error> {
        while let Some(Anything) = seq.next_element()? {}
        Ok(Anything)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Anything, A::Error> {
        while let Some((Anything, Anything)) = map.next_entry()? {}
        Ok(Anything)
    }
}
