//! The answer to a `batchEmbedContents` call. Only its shape is read here; whether the vectors
//! can be believed is the engine's to say.

use serde_json::{Map, Value};

use super::cursor::{Cursor, Malformed};

#[derive(Debug, PartialEq, Default)]
pub struct Answer {
    /// In the order of the texts that were sent; the API gives no other link between them.
    pub vectors: Vec<Vec<f32>>,
    /// Of the whole request; gemini-embedding-001 doesn't say at the Gemini API.
    pub tokens: Option<u64>,
    /// Billed for the whole request, where the API counts them.
    pub characters: Option<u64>,
    /// Texts of which only the begin was read, where the API says so.
    pub truncated: usize,
}

/// Parses a 200's body; the error says where it is not an answer.
pub fn parse(body: &[u8]) -> Result<Answer, Malformed> {
    let mut vectors = None;
    let mut usage = None;
    let mut cursor = Cursor::new(body)?;
    cursor.object(|cursor, key| match key {
        "embeddings" => once(&mut vectors, key, cursor, embeddings),
        "usageMetadata" => once(&mut usage, key, cursor, |cursor| {
            count_in(cursor, "promptTokenCount")
        }),
        _ => cursor.skip(),
    })?;
    cursor.end()?;
    Ok(Answer {
        vectors: vectors.ok_or_else(|| cursor.malformed("an answer without embeddings"))?,
        tokens: usage.flatten(),
        ..Answer::default()
    })
}

fn embeddings(cursor: &mut Cursor) -> Result<Vec<Vec<f32>>, Malformed> {
    let mut vectors: Vec<Vec<f32>> = Vec::new();
    cursor.array(|cursor| {
        let like = vectors.last().map_or(0, Vec::len);
        let mut values = None;
        cursor.object(|cursor, key| match key {
            "values" => once(&mut values, key, cursor, |cursor| numbers(cursor, like)),
            _ => cursor.skip(),
        })?;
        vectors.push(values.ok_or_else(|| cursor.malformed("an embedding without values"))?);
        Ok(())
    })?;
    Ok(vectors)
}

pub(super) fn numbers(cursor: &mut Cursor, about: usize) -> Result<Vec<f32>, Malformed> {
    let mut numbers = Vec::with_capacity(about);
    cursor.array(|cursor| {
        numbers.push(cursor.number()?);
        Ok(())
    })?;
    Ok(numbers)
}

/// The count of this name in an object, or none where there is no object.
pub(super) fn count_in(cursor: &mut Cursor, name: &str) -> Result<Option<u64>, Malformed> {
    let counts: Option<Map<String, Value>> = cursor.value()?;
    let value = counts.as_ref().and_then(|counts| counts.get(name));
    count(cursor, name, value)
}

/// A whole number, which may have gone through a float on its way.
pub(super) fn count(
    cursor: &Cursor,
    name: &str,
    value: Option<&Value>,
) -> Result<Option<u64>, Malformed> {
    // Far more than a request can have; and none that counts of many could overflow.
    const MOST: f64 = u32::MAX as f64;
    let whole = |float: &f64| float.fract() == 0.0 && (0.0..=MOST).contains(float);
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    match value.as_f64().filter(whole).map(|float| float as u64) {
        Some(count) => Ok(Some(count)),
        None => Err(cursor.malformed(format!("a {name} that is no count"))),
    }
}

/// A key that comes twice leaves open which of the two was meant.
pub(super) fn once<T>(
    place: &mut Option<T>,
    key: &str,
    cursor: &mut Cursor,
    read: impl FnOnce(&mut Cursor) -> Result<T, Malformed>,
) -> Result<(), Malformed> {
    match place {
        Some(_) => Err(cursor.malformed(format!("{key} comes twice"))),
        None => {
            *place = Some(read(cursor)?);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pretty_printed_answer_is_read() {
        let body = br#"{
  "usageMetadata": { "promptTokenCount": 8, "promptTokenDetails": [ { "modality": "TEXT", "tokenCount": 8 } ] },
  "embeddings": [ { "values": [ 0.5, -1e-3 ] }, { "values": [ 0, 1 ], "shape": [ 2 ] } ]
}"#;
        let answer = parse(body).unwrap();
        assert_eq!(answer.vectors, [vec![0.5, -0.001], vec![0.0, 1.0]]);
        assert_eq!(answer.tokens, Some(8));
    }

    #[test]
    fn an_answer_without_usage_is_read() {
        assert_eq!(parse(br#"{"embeddings":[]}"#).unwrap().tokens, None);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for value in ["NaN", "Infinity", "null", "\"1\"", "1e999", "[1]"] {
            let body = format!(r#"{{"embeddings":[{{"values":[{value}]}}]}}"#);
            assert!(parse(body.as_bytes()).is_err(), "{value}");
        }
        assert!(parse(b"<html>").is_err());
        assert!(parse(br#"{"error":{}}"#).is_err());
    }

    #[test]
    fn keys_in_any_order_but_once() {
        let answer = parse(
            br#"{"x":{"y":[null,"\u00e9",true,-1.5e3]},"embeddings":[{"shape":[1],"values":[1]}],"usageMetadata":null}"#,
        );
        assert_eq!(answer.unwrap().vectors, [[1.0]]);
        for body in [
            r#"{"embeddings":[],"embeddings":[]}"#,
            r#"{"embeddings":[{"values":[1],"values":[2]}]}"#,
            r#"{"embeddings":[{}]}"#,
            r#"{"embeddings":[{"values":[1,]}]}"#,
            r#"{"embeddings":[{"values":[1]},]}"#,
            r#"{"embeddings":[{"values":[1 2]}]}"#,
            r#"{"embeddings":[]"#,
            r#"{"embeddings":[]}}"#,
            r#"{"embeddings":[]} 1"#,
            r#"{"embeddings":[],"x":"\ud800"}"#,
            r#"{"embeddings":[],"x":1e999}"#,
            "\u{feff}{\"embeddings\":[]}",
            r#"{"embeddings":[],"usageMetadata":[5]}"#,
        ] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
        assert_eq!(
            parse(b"{\"embeddings\":[]}\xff").unwrap_err().to_string(),
            "invalid UTF-8 at byte 17"
        );
    }
}
