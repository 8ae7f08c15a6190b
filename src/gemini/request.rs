//! The body of a `batchEmbedContents` call. One sub-request a text: several texts as parts of one
//! content would come back as one vector.

use serde::Serialize;
use std::borrow::Cow;

use super::model::{Model, TaskForm};
use super::task::TaskType;

/// What all texts of a run have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Purpose {
    pub model: &'static Model,
    pub dimensions: u32,
    pub task: TaskType,
}

#[derive(Serialize)]
struct Batch<'a> {
    requests: Vec<Embed<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Embed<'a> {
    model: &'a str,
    content: Content<'a>,
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
        format!(
            "/models/{}:batchEmbedContents?prettyPrint=false",
            self.model.name
        )
    }

    pub fn body(&self, texts: &[String]) -> serde_json::Result<Vec<u8>> {
        let model = format!("models/{}", self.model.name);
        let requests = texts
            .iter()
            .map(|text| Embed {
                model: &model,
                content: Content {
                    parts: [Part {
                        text: self.as_sent(text),
                    }],
                },
                task_type: match self.model.task_form {
                    TaskForm::TaskType => Some(self.task.name()),
                    TaskForm::Prefix => None,
                },
                output_dimensionality: self.dimensions,
            })
            .collect();
        serde_json::to_vec(&Batch { requests })
    }

    /// A text with what the task adds to it.
    pub fn as_sent<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.model.task_form {
            TaskForm::Prefix => Cow::Owned(self.task.prompt(text)),
            TaskForm::TaskType => Cow::Borrowed(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model;
    use super::*;
    use serde_json::{Value, json};

    fn body(model: &str, task: TaskType) -> Value {
        let purpose = Purpose {
            model: model::find(model).unwrap(),
            dimensions: 768,
            task,
        };
        serde_json::from_slice(&purpose.body(&["a \"row\"\n".to_owned()]).unwrap()).unwrap()
    }

    #[test]
    fn the_second_model_gets_its_task_in_the_text() {
        assert_eq!(
            body("gemini-embedding-2", TaskType::RetrievalDocument),
            json!({"requests": [{
                "model": "models/gemini-embedding-2",
                "content": {"parts": [{"text": "title: none | text: a \"row\"\n"}]},
                "outputDimensionality": 768,
            }]})
        );
        assert_eq!(
            body("gemini-embedding-2", TaskType::RetrievalQuery)["requests"][0]["content"]["parts"],
            json!([{"text": "task: search result | query: a \"row\"\n"}])
        );
    }

    #[test]
    fn the_first_model_gets_a_task_type() {
        assert_eq!(
            body("gemini-embedding-001", TaskType::RetrievalDocument),
            json!({"requests": [{
                "model": "models/gemini-embedding-001",
                "content": {"parts": [{"text": "a \"row\"\n"}]},
                "taskType": "RETRIEVAL_DOCUMENT",
                "outputDimensionality": 768,
            }]})
        );
    }
}
