//! The models this release knows: dimensions, token limit, price, and how they are told the task.
//! Figures are Google's published ones for the Gemini API; a model that is not here is refused before any request.

use std::fmt;

/// The model used where neither the call nor the settings name one.
pub const DEFAULT: &str = "gemini-embedding-2";

/// One text a vector: more in one `batchEmbedContents` call are refused by the API.
pub const MAX_TEXTS_PER_REQUEST: usize = 100;

/// The API refuses larger request bodies ("Request payload size exceeds the limit").
pub const MAX_REQUEST_BYTES: usize = 20_971_520;

#[derive(Debug, PartialEq)]
pub struct Model {
    pub name: &'static str,
    pub min_dimensions: u32,
    pub max_dimensions: u32,
    /// Tokens of one text that the model reads; the API cuts the rest off silently.
    pub max_tokens: u32,
    /// US dollars for a million input tokens, text, not batch mode.
    pub usd_per_million_tokens: f64,
    pub task_form: TaskForm,
}

/// How a model is told what the vector is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TaskForm {
    /// In the text itself, as a prefix; `taskType` is ignored.
    Prefix,
    /// In the request's `taskType`.
    TaskType,
}

const MODELS: [Model; 2] = [
    Model {
        name: "gemini-embedding-2",
        min_dimensions: 128,
        max_dimensions: 3072,
        max_tokens: 8_192,
        usd_per_million_tokens: 0.20,
        task_form: TaskForm::Prefix,
    },
    Model {
        name: "gemini-embedding-001",
        min_dimensions: 128,
        max_dimensions: 3072,
        max_tokens: 2_048,
        usd_per_million_tokens: 0.15,
        task_form: TaskForm::TaskType,
    },
];

/// Names that once worked on the Gemini API, with the day they stopped.
const RETIRED: [(&str, &str); 5] = [
    ("text-embedding-004", "2026-01-14"),
    ("embedding-001", "2025-10-30"),
    ("embedding-gecko-001", "2025-10-30"),
    ("gemini-embedding-exp", "2025-10-30"),
    ("gemini-embedding-exp-03-07", "2025-10-30"),
];

#[derive(Debug, PartialEq)]
pub enum ModelError {
    Unknown { name: String },
    Retired { name: String, since: &'static str },
}

pub fn find(name: &str) -> Result<&'static Model, ModelError> {
    let bare = name.strip_prefix("models/").unwrap_or(name);
    if let Some(model) = MODELS.iter().find(|model| model.name == bare) {
        return Ok(model);
    }
    Err(match RETIRED.iter().find(|(retired, _)| *retired == bare) {
        Some((_, since)) => ModelError::Retired {
            name: bare.to_owned(),
            since,
        },
        None => ModelError::Unknown {
            name: bare.to_owned(),
        },
    })
}

/// The known names, for a hint: `gemini-embedding-2, gemini-embedding-001`.
pub fn known_names() -> String {
    MODELS.map(|model| model.name).join(", ")
}

impl Model {
    pub fn has_dimensions(&self, dimensions: u32) -> bool {
        (self.min_dimensions..=self.max_dimensions).contains(&dimensions)
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => write!(f, "model \"{name}\" is not known"),
            Self::Retired { name, since } => {
                write!(f, "model \"{name}\" was shut down by Google on {since}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_with_and_without_the_prefix() {
        assert_eq!(
            find("gemini-embedding-2"),
            find("models/gemini-embedding-2")
        );
        assert_eq!(find(DEFAULT).map(|m| m.name), Ok(DEFAULT));
    }

    #[test]
    fn a_retired_model_is_told_from_an_unknown_one() {
        assert!(matches!(
            find("text-embedding-004"),
            Err(ModelError::Retired {
                since: "2026-01-14",
                ..
            })
        ));
        assert!(matches!(find("gpt"), Err(ModelError::Unknown { .. })));
    }
}
