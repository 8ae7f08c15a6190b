//! The body of a 200, read by the extension and, slowly, by serde_json and the standard library: both must see an answer in it or
//! neither, and the same numbers to the last bit.

use std::{borrow::Cow, fmt};

use embedding_backfill::gemini::response::{self, Answer};
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

pub fn check(body: &[u8]) {
    let ours = response::parse(body);
    match (read(body), ours) {
        (Reading::NoAnswer | Reading::Odd(_), Err(_)) => (),
        (Reading::NoAnswer, Ok(answer)) => panic!("no answer, but read as {answer:?}"),
        (Reading::Answer(answer), Err(error)) => panic!("refused with {error:?}: {answer:?}"),
        (Reading::Answer(theirs) | Reading::Odd(theirs), Ok(ours)) => {
            assert_eq!(bits(&ours), bits(&theirs));
            assert_eq!(ours.tokens, theirs.tokens);
            near(body, &ours);
        }
    }
}

fn read(body: &[u8]) -> Reading {
    let text = String::from_utf8_lossy(body);
    let is_plain = matches!(text, Cow::Borrowed(_)) && serde_json::from_str::<Value>(&text).is_ok();
    let mut odd = !is_plain;
    match answer(&text, &mut odd) {
        None => Reading::NoAnswer,
        Some(answer) if odd => Reading::Odd(answer),
        Some(answer) => Reading::Answer(answer),
    }
}

fn answer(text: &str, odd: &mut bool) -> Option<Answer> {
    let body = members(serde_json::from_str(text).ok()?)?;
    let embeddings = elements(member(&body, "embeddings", odd)?)?;
    let vectors = embeddings
        .into_iter()
        .map(|embedding| {
            let embedding = members(embedding)?;
            let values = elements(member(&embedding, "values", odd)?)?;
            values.into_iter().map(number).collect()
        })
        .collect::<Option<Vec<Vec<f32>>>>()?;
    let tokens = member(&body, "usageMetadata", odd)
        .filter(|usage| usage.get() != "null")
        .and_then(|usage| match members(usage) {
            Some(usage) => member(&usage, "promptTokenCount", odd),
            None => {
                *odd = true;
                None
            }
        })
        .filter(|count| count.get() != "null")
        .and_then(|count| {
            let count = count.get().parse().ok();
            *odd |= count.is_none();
            count
        });
    Some(Answer { vectors, tokens })
}

fn number(raw: &RawValue) -> Option<f32> {
    let text = raw.get();
    let is_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let number: f32 = is_number.then(|| text.parse().ok())??;
    number.is_finite().then_some(number)
}

fn elements(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

type Member<'a> = (Vec<u8>, &'a RawValue);

fn members(raw: &RawValue) -> Option<Vec<Member<'_>>> {
    let Members(members) = serde_json::from_str(raw.get()).ok()?;
    Some(members)
}

/// The last of its name, as a `Value` has it.
fn member<'a>(members: &[Member<'a>], name: &str, odd: &mut bool) -> Option<&'a RawValue> {
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
fn near(body: &[u8], ours: &Answer) {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    for (place, vector) in ours.vectors.iter().enumerate() {
        for (at, ours) in vector.iter().enumerate() {
            let theirs = value["embeddings"][place]["values"][at].as_f64();
            let theirs = theirs.expect("a Value has the number, too") as f32;
            let (below, above) = (ours.next_down(), ours.next_up());
            assert!((below..=above).contains(&theirs), "{ours} is not {theirs}");
        }
    }
}
