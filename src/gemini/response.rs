//! The answer to a `batchEmbedContents` call. Only its shape is read here; whether the vectors
//! can be believed is the engine's to say.

use serde::Deserialize;

#[derive(Debug, PartialEq)]
pub struct Answer {
    /// In the order of the texts that were sent; the API gives no other link between them.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens billed for the whole request; gemini-embedding-001 doesn't say.
    pub tokens: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    embeddings: Vec<Embedding>,
    usage_metadata: Option<Usage>,
}

#[derive(Deserialize)]
struct Embedding {
    values: Vec<f32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    prompt_token_count: Option<u64>,
}

/// Parses a 200's body; the error says where it is not an answer.
pub fn parse(body: &[u8]) -> Result<Answer, serde_json::Error> {
    let body: Body = serde_json::from_slice(body)?;
    Ok(Answer {
        vectors: body.embeddings.into_iter().map(|e| e.values).collect(),
        tokens: body.usage_metadata.and_then(|u| u.prompt_token_count),
    })
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
}
