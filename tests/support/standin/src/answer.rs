//! The answer with the vectors, laid out byte for byte as Google lays it out: indented by two, one float a line in its
//! shortest form; or, for who asks for it, without any white space.

use std::io::{self, Write};

use crate::floats::{ALONE, IN_BATCH, PREDICTED, Style, write_blocks, write_values};
use crate::models::Model;
use crate::oracle::{BLOCK, Recipe};
use crate::response::Response;
use crate::semantics::Semantics;
use crate::text::Text;

/// The methods by which vectors are had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// `:batchEmbedContents` and `:embedContent` of the Gemini API.
    Batch,
    Single,
    /// The same of Vertex AI, which counts the tokens in a spelling of its own.
    VertexBatch,
    VertexSingle,
    /// `:predict` of Vertex AI.
    Predict,
}

pub struct Answer {
    pub model: &'static Model,
    pub texts: Vec<Text>,
    /// Of all texts together.
    pub tokens: u64,
    pub form: Form,
    pub pretty: bool,
}

impl Answer {
    pub fn write<W: Write>(
        &self,
        response: &mut Response<W>,
        semantics: &Semantics,
    ) -> io::Result<()> {
        let (begin, end) = match self.form {
            Form::Batch | Form::VertexBatch => ("{\n  \"embeddings\": [\n    ", "\n  ]"),
            Form::Single | Form::VertexSingle => ("{\n  \"embedding\": ", ""),
            Form::Predict => ("{\n  \"predictions\": [\n    ", "\n  ]"),
        };
        self.put(response.body(), begin);
        for (at, text) in self.texts.iter().enumerate() {
            if at > 0 {
                self.put(response.body(), ",\n    ");
            }
            if self.form == Form::Predict {
                let statistics = statistics(text, self.model);
                self.put(response.body(), &statistics);
            } else {
                response.body().push(b'{');
            }
            write_embedding(response.body(), self.style(), |body| {
                self.write_values(body, text, semantics);
            });
            if self.form == Form::Predict {
                self.put(response.body(), "\n    }");
            }
            response.flush_full()?;
        }
        self.put(response.body(), end);
        self.put(response.body(), &self.counts());
        self.put(response.body(), "\n}");
        response.body().push(b'\n');
        Ok(())
    }

    /// Writes what white space has no meaning in.
    fn put(&self, body: &mut Vec<u8>, pretty: &str) {
        let is_written = |byte: &u8| self.pretty || !byte.is_ascii_whitespace();
        body.extend(pretty.bytes().filter(is_written));
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
        let many = !matches!(self.form, Form::Single | Form::VertexSingle);
        match semantics {
            Semantics::Hash if many && dimensions.is_multiple_of(BLOCK) => {
                let recipe = Recipe::new(text, self.model, *dimensions, task_type);
                write_blocks(body, &recipe, self.style());
            }
            _ => {
                let mut values = Vec::new();
                semantics.fill(&mut values, text, self.model, *dimensions, task_type);
                write_values(body, &values, self.style());
            }
        }
    }

    /// What stands behind the vectors.
    fn counts(&self) -> String {
        match self.form {
            Form::Batch | Form::Single if self.model.reports_usage => usage(self.tokens),
            Form::Batch | Form::Single => String::new(),
            Form::VertexBatch => vertex_usage(self.tokens),
            Form::VertexSingle => {
                let cut = self.texts.iter().any(|text| text.is_cut(self.model));
                format!(",\n  \"truncated\": {cut}{}", vertex_usage(self.tokens))
            }
            Form::Predict => {
                let characters: usize = self.texts.iter().map(Text::billable_characters).sum();
                format!(",\n  \"metadata\": {{\n    \"billableCharacterCount\": {characters}\n  }}")
            }
        }
    }

    fn style(&self) -> Style {
        let pretty = match self.form {
            Form::Batch | Form::VertexBatch => IN_BATCH,
            Form::Single | Form::VertexSingle => ALONE,
            Form::Predict => PREDICTED,
        };
        match self.pretty {
            true => pretty,
            false => pretty.compact(),
        }
    }
}

/// The beginning of a prediction, up to its values.
fn statistics(text: &Text, model: &Model) -> String {
    let tokens = text.tokens.min(model.token_limit);
    let cut = text.is_cut(model);
    format!(
        r#"{{
      "embeddings": {{
        "statistics": {{
          "token_count": {tokens},
          "truncated": {cut}
        }},"#
    )
}

/// The rest of what has been opened; `write` puts a comma behind each value.
fn write_embedding(body: &mut Vec<u8>, style: Style, write: impl FnOnce(&mut Vec<u8>)) {
    // Two less for each level further out; nothing at all where it is not pretty.
    let indent = style.indent;
    let outer = |levels: usize| &indent[..indent.len().saturating_sub(2 * levels)];
    body.extend(outer(1));
    body.extend(match indent {
        b"" => b"\"values\":[".as_slice(),
        _ => b"\"values\": [",
    });
    write(body);
    body.pop();
    body.extend(outer(1));
    body.extend(b"]");
    body.extend(outer(2));
    body.extend(b"}");
}

fn usage(tokens: u64) -> String {
    format!(
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

fn vertex_usage(tokens: u64) -> String {
    format!(
        r#",
  "usageMetadata": {{
    "promptTokenCount": {tokens},
    "promptTokensDetails": [
      {{
        "modality": "TEXT",
        "tokenCount": {tokens}
      }}
    ],
    "totalTokenCount": {tokens}
  }}"#
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime};

    use super::*;
    use crate::models;
    use crate::response::Head;

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
        let mut body = b"{\n  \"embeddings\": [\n    {".to_vec();
        write_embedding(&mut body, IN_BATCH, |body| {
            write_values(body, &values, IN_BATCH)
        });
        body.extend(b"\n  ]");
        body.extend(usage(8).bytes());
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
        let written = |model: &str, form: Form, dimensions: usize, pretty: bool| {
            let text = Text {
                text: "hello".into(),
                dimensions,
                task_type: "",
                auto_truncate: true,
                tokens: 3,
            };
            let answer = Answer {
                model: models::find(model).unwrap(),
                texts: vec![text],
                tokens: 3,
                form,
                pretty,
            };
            let mut body = Vec::new();
            let head = Head {
                status: 200,
                content_type: "application/json",
                header: None,
                gzip: false,
                date: SystemTime::now(),
                received: Instant::now(),
            };
            let mut response = Response::new(io::sink(), &mut body, head);
            answer.write(&mut response, &Semantics::Hash).unwrap();
            body
        };
        for model in ["gemini-embedding-2", "gemini-embedding-001"] {
            for (form, dimensions) in [
                (Form::Batch, 768),
                (Form::Batch, 333),
                (Form::Single, 768),
                (Form::VertexBatch, 768),
                (Form::Predict, 768),
            ] {
                let pretty = written(model, form, dimensions, true);
                let compact = written(model, form, dimensions, false);
                let white = |byte: &u8| matches!(byte, b' ' | b'\n');
                let expected: Vec<u8> = pretty.into_iter().filter(|byte| !white(byte)).collect();
                assert_eq!(
                    compact.trim_ascii_end(),
                    expected,
                    "{model} {form:?} {dimensions}"
                );
            }
        }
    }
}
