//! A `:predict` call of Vertex AI: one instance a text, and for each a prediction that tells its tokens and
//! whether it was cut.

use serde::Serialize;
use std::borrow::Cow;

use super::cursor::{Cursor, Malformed};
use super::purpose::Purpose;
use super::response::{Answer, count, count_in, numbers, once};

#[derive(Serialize)]
struct Predict<'a> {
    instances: Vec<Instance<'a>>,
    parameters: Parameters,
}

#[derive(Serialize)]
struct Instance<'a> {
    content: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    auto_truncate: bool,
    output_dimensionality: u32,
}

pub(super) fn body(purpose: &Purpose, texts: &[String]) -> serde_json::Result<Vec<u8>> {
    let instances = texts
        .iter()
        .map(|text| Instance {
            content: purpose.as_sent(text),
            task_type: purpose.task_type(),
        })
        .collect();
    serde_json::to_vec(&Predict {
        instances,
        parameters: Parameters {
            // A long text gets the vector of its begin, and its row is counted.
            auto_truncate: true,
            output_dimensionality: purpose.dimensions,
        },
    })
}

/// Parses a 200's body; the error says where it is not an answer.
pub fn parse(body: &[u8]) -> Result<Answer, Malformed> {
    let mut answer = None;
    let mut characters = None;
    let mut cursor = Cursor::new(body)?;
    cursor.object(|cursor, key| match key {
        "predictions" => once(&mut answer, key, cursor, predictions),
        "metadata" => once(&mut characters, key, cursor, |cursor| {
            count_in(cursor, "billableCharacterCount")
        }),
        _ => cursor.skip(),
    })?;
    cursor.end()?;
    let answer = answer.ok_or_else(|| cursor.malformed("an answer without predictions"))?;
    Ok(Answer {
        characters: characters.flatten(),
        ..answer
    })
}

fn predictions(cursor: &mut Cursor) -> Result<Answer, Malformed> {
    let mut answer = Answer {
        tokens: Some(0),
        ..Answer::default()
    };
    cursor.array(|cursor| {
        let like = answer.vectors.last().map_or(0, Vec::len);
        let mut made = None;
        cursor.object(|cursor, key| match key {
            "embeddings" => once(&mut made, key, cursor, |cursor| embeddings(cursor, like)),
            _ => cursor.skip(),
        })?;
        let (vector, Statistics { tokens, truncated }) =
            made.ok_or_else(|| cursor.malformed("a prediction without embeddings"))?;
        answer.vectors.push(vector);
        // Of all of them or of none: a sum of some would be no sum.
        answer.tokens = answer
            .tokens
            .zip(tokens)
            .map(|(sum, tokens)| sum.saturating_add(tokens));
        answer.truncated += usize::from(truncated);
        Ok(())
    })?;
    Ok(answer)
}

#[derive(Default)]
struct Statistics {
    tokens: Option<u64>,
    truncated: bool,
}

/// The vector of one text, about as long as the one before.
fn embeddings(cursor: &mut Cursor, like: usize) -> Result<(Vec<f32>, Statistics), Malformed> {
    let mut values = None;
    let mut told = None;
    cursor.object(|cursor, key| match key {
        "values" => once(&mut values, key, cursor, |cursor| numbers(cursor, like)),
        "statistics" => once(&mut told, key, cursor, statistics),
        _ => cursor.skip(),
    })?;
    let values = values.ok_or_else(|| cursor.malformed("embeddings without values"))?;
    Ok((values, told.unwrap_or_default()))
}

fn statistics(cursor: &mut Cursor) -> Result<Statistics, Malformed> {
    let mut tokens = None;
    let mut truncated = None;
    cursor.object(|cursor, key| match key {
        "token_count" => once(&mut tokens, key, cursor, |cursor| {
            let value = cursor.value()?;
            count(cursor, key, Some(&value))
        }),
        "truncated" => once(&mut truncated, key, cursor, |cursor| {
            cursor.value::<Option<bool>>()
        }),
        _ => cursor.skip(),
    })?;
    Ok(Statistics {
        tokens: tokens.flatten(),
        truncated: truncated.flatten().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_either_order_is_read() {
        let body = br#"{
  "predictions": [
    { "embeddings": { "values": [ 0.5, -1e-3 ], "statistics": { "truncated": true, "token_count": 2048 } } },
    { "embeddings": { "statistics": { "token_count": 2, "truncated": false }, "values": [ 0, 1 ] } }
  ],
  "metadata": { "billableCharacterCount": 20 }
}"#;
        assert_eq!(
            parse(body).unwrap(),
            Answer {
                vectors: vec![vec![0.5, -0.001], vec![0.0, 1.0]],
                tokens: Some(2050),
                characters: Some(20),
                truncated: 1,
            }
        );
    }

    #[test]
    fn statistics_may_be_missing_but_not_be_nonsense() {
        let read = |statistics: &str| {
            let body = format!(
                r#"{{"predictions":[{{"embeddings":{{"values":[1]{statistics}}}}},
                    {{"embeddings":{{"values":[1],"statistics":{{"token_count":3.0}}}}}}]}}"#
            );
            parse(body.as_bytes()).map(|answer| (answer.tokens, answer.characters))
        };
        assert_eq!(read(""), Ok((None, None)));
        assert_eq!(
            read(r#","statistics":{"token_count":4}"#),
            Ok((Some(7), None))
        );
        assert_eq!(
            read(r#","statistics":{"token_count":null}"#),
            Ok((None, None))
        );
        for nonsense in [
            r#","statistics":{"token_count":-1}"#,
            r#","statistics":{"token_count":1.5}"#,
            r#","statistics":{"token_count":"4"}"#,
            r#","statistics":{"truncated":1}"#,
            r#","statistics":{"truncated":true,"truncated":true}"#,
            r#","statistics":[]"#,
            r#","values":[1]"#,
        ] {
            assert!(read(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for body in [
            "{}",
            r#"{"embeddings":[{"values":[1]}]}"#,
            r#"{"predictions":[{}]}"#,
            r#"{"predictions":[{"embeddings":{}}]}"#,
            r#"{"predictions":[{"embeddings":{"values":["1"]}}]}"#,
            r#"{"predictions":[],"predictions":[]}"#,
            r#"{"predictions":[],"metadata":{"billableCharacterCount":-1}}"#,
            r#"{"predictions":[]} 1"#,
        ] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
