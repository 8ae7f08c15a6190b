//! The models this release knows, as each provider serves them: dimensions, limits, price, and how they are
//! asked. Figures are Google's published ones; a model that is not here is refused before any request.

use std::fmt;

use super::provider::Provider;

/// The model used where neither the call nor the settings name one.
pub const DEFAULT: &str = "gemini-embedding-2";

/// The API refuses larger request bodies ("Request payload size exceeds the limit").
pub const MAX_REQUEST_BYTES: usize = 20_971_520;

/// A model at one provider.
#[derive(Debug, PartialEq)]
pub struct Model {
    pub name: &'static str,
    pub provider: Provider,
    pub min_dimensions: u32,
    pub max_dimensions: u32,
    /// Tokens of one text that the model reads; the API cuts the rest off.
    pub max_tokens: u32,
    pub price: Price,
    pub task_form: TaskForm,
    pub method: Method,
    /// One text a vector: more in one request are refused.
    pub max_texts: usize,
    /// Of all texts of a request together, where there is such a limit.
    pub max_request_tokens: Option<u64>,
    /// Where Vertex AI serves it, for those who don't say where.
    pub location: &'static str,
}

/// US dollars for input text, not in batch mode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Price {
    PerMillionTokens(f64),
    /// White space is free.
    PerMillionCharacters(f64),
}

/// How a model is told what the vector is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TaskForm {
    /// In the text itself, as a prefix; `taskType` is ignored.
    Prefix,
    /// In the request's `taskType`.
    TaskType,
}

/// What is called, and how its request is worded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// With dimensions and task beside the content.
    BatchEmbedContents,
    /// With both in an `embedContentConfig`.
    BatchEmbedContentsConfig,
    /// Tells each text's tokens, and whether it was cut.
    Predict,
}

const SECOND: Model = Model {
    name: "gemini-embedding-2",
    provider: Provider::Gemini,
    min_dimensions: 128,
    max_dimensions: 3072,
    max_tokens: 8_192,
    price: Price::PerMillionTokens(0.20),
    task_form: TaskForm::Prefix,
    method: Method::BatchEmbedContents,
    max_texts: 100,
    max_request_tokens: None,
    location: "global",
};

const FIRST: Model = Model {
    name: "gemini-embedding-001",
    max_tokens: 2_048,
    price: Price::PerMillionTokens(0.15),
    task_form: TaskForm::TaskType,
    ..SECOND
};

/// A request of more is refused ("the model supports up to 20000").
const VERTEX_TOKENS: Option<u64> = Some(20_000);

/// Before the Gemini models. Seen in `global`: text-embedding-004; the others are published for regions.
const OLDER: Model = Model {
    name: "text-embedding-004",
    provider: Provider::Vertex,
    min_dimensions: 768,
    max_dimensions: 768,
    max_tokens: 2_048,
    price: Price::PerMillionCharacters(0.025),
    task_form: TaskForm::TaskType,
    method: Method::Predict,
    max_texts: 250,
    max_request_tokens: VERTEX_TOKENS,
    location: "global",
};

static MODELS: [Model; 7] = [
    SECOND,
    FIRST,
    // No number of texts is published for this method there; the Gemini API's will do.
    Model {
        provider: Provider::Vertex,
        method: Method::BatchEmbedContentsConfig,
        max_request_tokens: VERTEX_TOKENS,
        ..SECOND
    },
    // Also at batchEmbedContents, which would keep its tokens and cuts to itself.
    Model {
        provider: Provider::Vertex,
        method: Method::Predict,
        max_texts: 250,
        max_request_tokens: VERTEX_TOKENS,
        ..FIRST
    },
    OLDER,
    Model {
        name: "text-embedding-005",
        location: "us-central1",
        ..OLDER
    },
    Model {
        name: "text-multilingual-embedding-002",
        location: "us-central1",
        ..OLDER
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
pub struct ModelError {
    pub name: String,
    /// Who was asked for it.
    pub provider: Provider,
    /// The day on which the Gemini API stopped to serve it.
    pub retired: Option<&'static str>,
    /// Who has it instead.
    pub elsewhere: Option<Provider>,
}

pub fn find(provider: Provider, name: &str) -> Result<&'static Model, ModelError> {
    let bare = name.strip_prefix("models/").unwrap_or(name);
    let named = || MODELS.iter().filter(|model| model.name == bare);
    if let Some(model) = named().find(|model| model.provider == provider) {
        return Ok(model);
    }
    let retired = RETIRED.iter().find(|(retired, _)| *retired == bare);
    Err(ModelError {
        name: bare.to_owned(),
        provider,
        retired: retired.map(|(_, since)| *since),
        elsewhere: named().next().map(|model| model.provider),
    })
}

/// The names that a provider knows, for a hint: `gemini-embedding-2, gemini-embedding-001`.
pub fn known_names(provider: Provider) -> String {
    let names: Vec<&str> = MODELS
        .iter()
        .filter(|model| model.provider == provider)
        .map(|model| model.name)
        .collect();
    names.join(", ")
}

impl Model {
    pub fn has_dimensions(&self, dimensions: u32) -> bool {
        (self.min_dimensions..=self.max_dimensions).contains(&dimensions)
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ModelError { name, provider, .. } = self;
        match (self.retired, self.elsewhere) {
            (Some(since), _) => write!(f, "model \"{name}\" was shut down by Google on {since}"),
            (None, Some(_)) => write!(f, "{provider} does not serve model \"{name}\""),
            (None, None) => write!(f, "model \"{name}\" is not known"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Provider::{Gemini, Vertex};

    #[test]
    fn a_model_is_found_with_and_without_the_prefix() {
        assert_eq!(
            find(Gemini, "gemini-embedding-2"),
            find(Gemini, "models/gemini-embedding-2")
        );
        for provider in Provider::ALL {
            let found = find(provider, DEFAULT).unwrap();
            assert_eq!((found.name, found.provider), (DEFAULT, provider));
        }
    }

    #[test]
    fn a_retired_model_is_told_from_an_unknown_one() {
        let retired = find(Gemini, "text-embedding-004").unwrap_err();
        assert_eq!(
            (retired.retired, retired.elsewhere),
            (Some("2026-01-14"), Some(Vertex))
        );
        let older = find(Gemini, "text-embedding-005").unwrap_err();
        assert_eq!((older.retired, older.elsewhere), (None, Some(Vertex)));
        for provider in Provider::ALL {
            let unknown = find(provider, "gpt").unwrap_err();
            assert_eq!((unknown.retired, unknown.elsewhere), (None, None));
        }
    }
}
