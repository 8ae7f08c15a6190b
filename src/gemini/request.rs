//! A request by its model's method. In the body of a `batchEmbedContents` call one sub-request is a text: several
//! texts as parts of one content would come back as one vector.

use serde::Serialize;
use std::borrow::Cow;

use super::cursor::Malformed;
use super::model::Method;
use super::predict;
use super::response::{self, Answer};

pub use super::purpose::Purpose;

#[derive(Serialize)]
struct Batch<'a> {
    requests: Vec<Embed<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Embed<'a> {
    /// Vertex AI takes it from the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embed_content_config: Option<Config>,
}

#[derive(Serialize, Clone, Copy)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
    output_dimensionality: u32,
}

#[derive(Serialize)]
struct Content<'a> {
    parts: [Part<'a>; 1],
}

#[derive(Serialize)]
struct Part<'a> {
    text: Cow<'a, str>,
}

impl Purpose {
    /// The path below the base URL. Google's answers are made to be read by people, a line for each number, where
    /// nobody says otherwise; see its page on system parameters.
    pub fn path(&self) -> String {
        let method = match self.model.method {
            Method::BatchEmbedContents | Method::BatchEmbedContentsConfig => "batchEmbedContents",
            Method::Predict => "predict",
        };
        format!("/models/{}:{method}?prettyPrint=false", self.model.name)
    }

    pub fn body(&self, texts: &[String]) -> serde_json::Result<Vec<u8>> {
        let config = Config {
            task_type: self.task_type(),
            output_dimensionality: self.dimensions,
        };
        let name = format!("models/{}", self.model.name);
        let (model, beside, inside) = match self.model.method {
            Method::BatchEmbedContents => (Some(name.as_str()), Some(config), None),
            Method::BatchEmbedContentsConfig => (None, None, Some(config)),
            Method::Predict => return predict::body(self, texts),
        };
        let requests = texts
            .iter()
            .map(|text| Embed {
                model,
                content: Content {
                    parts: [Part {
                        text: self.as_sent(text),
                    }],
                },
                task_type: beside.and_then(|config| config.task_type),
                output_dimensionality: beside.map(|config| config.output_dimensionality),
                embed_content_config: inside,
            })
            .collect();
        serde_json::to_vec(&Batch { requests })
    }

    /// Reads a 200's body; the error says where it is not an answer.
    pub fn read(&self, body: &[u8]) -> Result<Answer, Malformed> {
        match self.model.method {
            Method::BatchEmbedContents | Method::BatchEmbedContentsConfig => response::parse(body),
            Method::Predict => predict::parse(body),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{model, provider::Provider, task::TaskType};
    use super::*;
    use serde_json::{Value, json};

    fn purpose(provider: Provider, model: &str, task: TaskType) -> Purpose {
        Purpose {
            model: model::find(provider, model).unwrap(),
            dimensions: 768,
            task,
        }
    }

    fn body(provider: Provider, model: &str, task: TaskType) -> Value {
        let purpose = purpose(provider, model, task);
        serde_json::from_slice(&purpose.body(&["a \"row\"\n".to_owned()]).unwrap()).unwrap()
    }

    #[test]
    fn the_second_model_gets_its_task_in_the_text() {
        let body = |task| body(Provider::Gemini, "gemini-embedding-2", task);
        assert_eq!(
            body(TaskType::RetrievalDocument),
            json!({"requests": [{
                "model": "models/gemini-embedding-2",
                "content": {"parts": [{"text": "title: none | text: a \"row\"\n"}]},
                "outputDimensionality": 768,
            }]})
        );
        assert_eq!(
            body(TaskType::RetrievalQuery)["requests"][0]["content"]["parts"],
            json!([{"text": "task: search result | query: a \"row\"\n"}])
        );
    }

    #[test]
    fn the_first_model_gets_a_task_type() {
        assert_eq!(
            body(
                Provider::Gemini,
                "gemini-embedding-001",
                TaskType::RetrievalDocument
            ),
            json!({"requests": [{
                "model": "models/gemini-embedding-001",
                "content": {"parts": [{"text": "a \"row\"\n"}]},
                "taskType": "RETRIEVAL_DOCUMENT",
                "outputDimensionality": 768,
            }]})
        );
    }

    #[test]
    fn vertex_has_a_config_in_each_request() {
        assert_eq!(
            body(
                Provider::Vertex,
                "gemini-embedding-2",
                TaskType::RetrievalDocument
            ),
            json!({"requests": [{
                "content": {"parts": [{"text": "title: none | text: a \"row\"\n"}]},
                "embedContentConfig": {"outputDimensionality": 768},
            }]})
        );
    }

    #[test]
    fn vertex_is_asked_for_a_prediction_where_that_tells_more() {
        for model in ["gemini-embedding-001", "text-embedding-004"] {
            let purpose = purpose(Provider::Vertex, model, TaskType::RetrievalQuery);
            assert!(
                purpose
                    .path()
                    .starts_with(&format!("/models/{model}:predict?"))
            );
            assert_eq!(
                body(Provider::Vertex, model, TaskType::RetrievalQuery),
                json!({
                    "instances": [{"content": "a \"row\"\n", "task_type": "RETRIEVAL_QUERY"}],
                    "parameters": {"autoTruncate": true, "outputDimensionality": 768},
                })
            );
        }
    }
}
