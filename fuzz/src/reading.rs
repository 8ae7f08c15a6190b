//! How a body is read a second time: by JSON's grammar alone, with the digits of its numbers as they are.

use std::{borrow::Cow, fmt};

use embedding_backfill::gemini::response::Answer;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

/// What a body is by JSON's grammar and the API's description.
#[derive(Debug)]
enum Reading {
    NoAnswer,
    Answer(Answer),
    /// One that a careful reader may refuse: a key that comes twice, a token count that is none, or, where
    /// nobody looks, what a `Value` has no room for.
    Odd(Answer),
}

/// Holds our reading of a body against `theirs`, which is told where it meets something odd; `place` is where a vector's
/// values are.
pub fn compare(
    body: &[u8],
    ours: Result<Answer, String>,
    theirs: impl Fn(&str, &mut bool) -> Option<Answer>,
    place: impl Fn(usize) -> String,
) {
    match (read(body, theirs), ours) {
        (Reading::NoAnswer | Reading::Odd(_), Err(_)) => (),
        (Reading::NoAnswer, Ok(answer)) => panic!("no answer, but read as {answer:?}"),
        (Reading::Answer(answer), Err(error)) => panic!("refused with {error}: {answer:?}"),
        (Reading::Answer(theirs) | Reading::Odd(theirs), Ok(ours)) => {
            assert_eq!(bits(&ours), bits(&theirs));
            assert_eq!(
                (ours.tokens, ours.characters, ours.truncated),
                (theirs.tokens, theirs.characters, theirs.truncated)
            );
            near(body, &ours, place);
        }
    }
}

fn read(body: &[u8], theirs: impl Fn(&str, &mut bool) -> Option<Answer>) -> Reading {
    let text = String::from_utf8_lossy(body);
    let is_plain = matches!(text, Cow::Borrowed(_)) && serde_json::from_str::<Value>(&text).is_ok();
    let mut odd = !is_plain;
    match theirs(&text, &mut odd) {
        None => Reading::NoAnswer,
        Some(answer) if odd => Reading::Odd(answer),
        Some(answer) => Reading::Answer(answer),
    }
}

/// The count of this name in an object; either may be missing, and where it is something else, that is odd.
pub fn count_in(object: Option<&RawValue>, name: &str, odd: &mut bool) -> Option<u64> {
    let object = object.filter(|object| object.get() != "null")?;
    let Some(object) = members(object) else {
        *odd = true;
        return None;
    };
    count(member(&object, name, odd), odd)
}

/// A count that may be missing; one that is none, or more than a request can have, is odd.
pub fn count(raw: Option<&RawValue>, odd: &mut bool) -> Option<u64> {
    let text = raw.map(RawValue::get).filter(|text| *text != "null")?;
    let whole = |float: &f64| float.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(float);
    let is_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let number: Option<f64> = text.parse().ok().filter(|_| is_number);
    let count = number.filter(whole).map(|float| float as u64);
    *odd |= count.is_none();
    count
}

pub fn vector(raw: &RawValue) -> Option<Vec<f32>> {
    elements(raw)?.into_iter().map(number).collect()
}

fn number(raw: &RawValue) -> Option<f32> {
    let text = raw.get();
    let is_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let number: f32 = is_number.then(|| text.parse().ok())??;
    number.is_finite().then_some(number)
}

pub fn elements(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

pub type Member<'a> = (Vec<u8>, &'a RawValue);

pub fn members(raw: &RawValue) -> Option<Vec<Member<'_>>> {
    let Members(members) = serde_json::from_str(raw.get()).ok()?;
    Some(members)
}

/// The last of its name, as a `Value` has it.
pub fn member<'a>(members: &[Member<'a>], name: &str, odd: &mut bool) -> Option<&'a RawValue> {
    let mut named = members
        .iter()
        .rev()
        .filter(|(key, _)| key == name.as_bytes());
    let last = named.next().map(|(_, value)| *value);
    *odd |= named.next().is_some();
    last
}

/// All members of an object, also those of the same name.
struct Members<'a>(Vec<Member<'a>>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members(Vec::new()))
    }
}

impl<'de> Visitor<'de> for Members<'de> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some((Key(key), value)) = map.next_entry()? {
            self.0.push((key, value));
        }
        Ok(self)
    }
}

/// As bytes, since half of a surrogate pair is no text, but a key all the same.
struct Key(Vec<u8>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_bytes(Key(Vec::new()))
    }
}

impl Visitor<'_> for Key {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Self, E> {
        Ok(Key(key.to_vec()))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self, E> {
        Ok(Key(key.as_bytes().to_vec()))
    }
}

/// With the sign of zero.
fn bits(answer: &Answer) -> Vec<Vec<u32>> {
    let bits = |vector: &Vec<f32>| vector.iter().map(|value| value.to_bits()).collect();
    answer.vectors.iter().map(bits).collect()
}

/// serde_json's own numbers went through f64, so they may be one float off, and no more.
fn near(body: &[u8], ours: &Answer, place_of: impl Fn(usize) -> String) {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    for (place, vector) in ours.vectors.iter().enumerate() {
        let values = value.pointer(&place_of(place));
        let values = values.expect("a Value has the vector, too");
        for (at, ours) in vector.iter().enumerate() {
            let theirs = values[at].as_f64();
            let theirs = theirs.expect("a Value has the number, too") as f32;
            let (below, above) = (ours.next_down(), ours.next_up());
            assert!((below..=above).contains(&theirs), "{ours} is not {theirs}");
        }
    }
}
