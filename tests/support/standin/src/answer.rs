//! The answer with the vectors, laid out byte for byte as Google lays it out: indented by two, one float a line in its
//! shortest form; or, for who asks for it, without any white space.

use std::io::{self, Write};

use crate::embed::Text;
use crate::floats::{ALONE, COMPACT, IN_BATCH, write_blocks, write_values};
use crate::models::Model;
use crate::oracle::{BLOCK, Recipe};
use crate::response::Response;
use crate::semantics::Semantics;

pub struct Answer {
    pub model: &'static Model,
    pub texts: Vec<Text>,
    /// Of all texts together, as Google gives no other count.
    pub tokens: u64,
    /// `:embedContent` answers `embedding`, `:batchEmbedContents` a list `embeddings`.
    pub batch: bool,
    pub pretty: bool,
}

impl Answer {
    pub fn write<W: Write>(
        &self,
        response: &mut Response<W>,
        semantics: &Semantics,
    ) -> io::Result<()> {
        let layout = |pretty: &'static [u8], compact: &'static [u8]| match self.pretty {
            true => pretty,
            false => compact,
        };
        response.body().extend(match self.batch {
            true => layout(b"{\n  \"embeddings\": [\n    ", b"{\"embeddings\":["),
            false => layout(b"{\n  \"embedding\": ", b"{\"embedding\":"),
        });
        for (at, text) in self.texts.iter().enumerate() {
            if at > 0 {
                response.body().extend(layout(b",\n    ", b","));
            }
            write_embedding(response.body(), self.indent(), |body| {
                self.write_values(body, text, semantics);
            });
            response.flush_full()?;
        }
        if self.batch {
            response.body().extend(layout(b"\n  ]", b"]"));
        }
        if self.model.reports_usage {
            write_usage(response.body(), self.tokens, self.pretty)?;
        }
        response.body().extend(layout(b"\n}\n", b"}\n"));
        Ok(())
    }

    /// What is written, as numbers.
    pub fn vectors(&self, semantics: &Semantics) -> Vec<Vec<f32>> {
        let vector = |text: &Text| {
            let mut values = Vec::new();
            semantics.fill(
                &mut values,
                &text.text,
                self.model,
                text.dimensions,
                text.task_type,
            );
            values
        };
        self.texts.iter().map(vector).collect()
    }

    fn write_values(&self, body: &mut Vec<u8>, text: &Text, semantics: &Semantics) {
        let Text {
            text,
            dimensions,
            task_type,
            ..
        } = text;
        match semantics {
            Semantics::Hash if self.batch && dimensions.is_multiple_of(BLOCK) => {
                let recipe = Recipe::new(text, self.model, *dimensions, task_type);
                write_blocks(body, &recipe, self.indent());
            }
            _ => {
                let mut values = Vec::new();
                semantics.fill(&mut values, text, self.model, *dimensions, task_type);
                write_values(body, &values, self.indent());
            }
        }
    }

    fn indent(&self) -> &'static [u8] {
        match self.batch {
            _ if !self.pretty => COMPACT,
            true => IN_BATCH,
            false => ALONE,
        }
    }
}

/// `write` puts a comma behind each value.
fn write_embedding(body: &mut Vec<u8>, indent: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
    // Two less for each level further out; nothing at all where it is not pretty.
    let outer = |levels: usize| &indent[..indent.len().saturating_sub(2 * levels)];
    body.extend(b"{");
    body.extend(outer(1));
    body.extend(match indent {
        COMPACT => b"\"values\":[".as_slice(),
        _ => b"\"values\": [",
    });
    write(body);
    body.pop();
    body.extend(outer(1));
    body.extend(b"]");
    body.extend(outer(2));
    body.extend(b"}");
}

fn write_usage(body: &mut Vec<u8>, tokens: u64, pretty: bool) -> io::Result<()> {
    if !pretty {
        return write!(
            body,
            r#","usageMetadata":{{"promptTokenCount":{tokens},"promptTokenDetails":[{{"modality":"TEXT","tokenCount":{tokens}}}]}}"#
        );
    }
    write!(
        body,
        r#",
  "usageMetadata": {{
    "promptTokenCount": {tokens},
    "promptTokenDetails": [
      {{
        "modality": "TEXT",
        "tokenCount": {tokens}
      }}
    ]
  }}"#
    )
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    use crate::models;

    /// What the file was recorded from had this many bytes, so each float of it must take as many as Google gave it.
    #[test]
    fn a_recorded_answer_gets_its_recorded_size() {
        let file = include_str!("../bodies/200_gemini-embedding-2_batch_1text_768.json");
        let file: serde_json::Value = serde_json::from_str(file).unwrap();
        let recorded = &file["response"];
        let values = recorded["body"]["embeddings"][0]["values"]
            .as_array()
            .unwrap();
        let values: Vec<f32> = values
            .iter()
            .map(|value| value.as_f64().unwrap() as f32)
            .collect();
        let mut body = b"{\n  \"embeddings\": [\n    ".to_vec();
        write_embedding(&mut body, IN_BATCH, |body| {
            write_values(body, &values, IN_BATCH)
        });
        body.extend(b"\n  ]");
        write_usage(&mut body, 8, true).unwrap();
        body.extend(b"\n}\n");
        assert_eq!(
            body.len() as u64,
            recorded["raw_body_bytes"].as_u64().unwrap()
        );
        let sent: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(sent, recorded["body"]);
    }

    #[test]
    fn without_white_space_it_says_the_same() {
        let written = |model: &str, batch: bool, dimensions: usize, pretty: bool| {
            let text = Text {
                text: "hello".into(),
                dimensions,
                task_type: "",
                auto_truncate: true,
            };
            let answer = Answer {
                model: models::find(model).unwrap(),
                texts: vec![text],
                tokens: 3,
                batch,
                pretty,
            };
            let (mut body, now) = (Vec::new(), Instant::now());
            let mut response =
                Response::new(io::sink(), &mut body, 200, "application/json", false, now);
            answer.write(&mut response, &Semantics::Hash).unwrap();
            body
        };
        for model in ["gemini-embedding-2", "gemini-embedding-001"] {
            for (batch, dimensions) in [(true, 768), (true, 333), (false, 768)] {
                let pretty = written(model, batch, dimensions, true);
                let compact = written(model, batch, dimensions, false);
                let white = |byte: &u8| matches!(byte, b' ' | b'\n');
                let expected: Vec<u8> = pretty.into_iter().filter(|byte| !white(byte)).collect();
                assert_eq!(
                    compact.trim_ascii_end(),
                    expected,
                    "{model} {batch} {dimensions}"
                );
            }
        }
    }
}
