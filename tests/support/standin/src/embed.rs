//! What an embedding request says and whether Google would take it. Parsing finds what is not in the schema, `check`
//! what the service refuses; only texts are served, so other kinds of part are unknown here.

use serde_json::Value;

use crate::config::Config;
use crate::errors::ApiError;
use crate::models::Model;
use crate::protojson::{Fields, Violations};
use crate::text::{Options, TASK_TYPES, Text};

/// The two APIs that take this message, each with its own small print.
#[derive(Clone, Copy)]
pub enum Door<'a> {
    Gemini,
    /// With the model as the URL names it, from `projects/` on.
    Vertex(&'a str),
}

/// One text to embed.
#[derive(Default)]
pub struct Embed {
    model: Option<String>,
    parts: Option<Vec<String>>,
    /// Deprecated, and valid where `config` says nothing.
    flat: Options,
    config: Option<Options>,
}

impl Door<'_> {
    /// What Google publishes for `:predict` is taken for the limit of Vertex AI's `:batchEmbedContents`, too.
    fn max_requests(self) -> usize {
        match self {
            Door::Gemini => 100,
            Door::Vertex(_) => 250,
        }
    }

    /// The sub-requests of `:batchEmbedContents`.
    pub fn parse_batch(self, body: &[u8]) -> Result<Vec<Embed>, ApiError> {
        parse(body, |fields| {
            fields.repeated("requests", |fields| self.read(fields))
        })
    }

    /// The lone request of `:embedContent`.
    pub fn parse_single(self, body: &[u8]) -> Result<Embed, ApiError> {
        parse(body, |fields| self.read(fields))
    }

    fn read(self, fields: &mut Fields) -> Embed {
        let content = |fields: &mut Fields| {
            fields.string("role");
            fields.repeated("parts", |part| part.string("text").unwrap_or_default())
        };
        let options = |fields: &mut Fields| Options {
            task_type: self.task_type(fields),
            title: fields.string("title"),
            dimensions: fields.integer("outputDimensionality"),
            auto_truncate: None,
        };
        let mut flat = options(fields);
        if let Door::Vertex(_) = self {
            flat.auto_truncate = fields.boolean("autoTruncate");
        }
        Embed {
            model: fields.string("model"),
            parts: fields.message("content", content),
            flat,
            config: fields.message("embedContentConfig", |fields| {
                fields.boolean("documentOcr");
                fields.boolean("audioTrackExtraction");
                Options {
                    auto_truncate: fields.boolean("autoTruncate"),
                    ..options(fields)
                }
            }),
        }
    }

    fn task_type(self, fields: &mut Fields) -> Option<&'static str> {
        let mut names = TASK_TYPES;
        let type_name = match self {
            Door::Gemini => "google.ai.generativelanguage.v1beta.TaskType",
            Door::Vertex(_) => {
                names[0] = "UNSPECIFIED";
                "google.cloud.aiplatform.v1.EmbedContentRequest.EmbeddingTaskType"
            }
        };
        fields.one_of("taskType", type_name, &names)
    }

    /// Checks the sub-requests of a batch against the model in the URL and against each other.
    pub fn check_batch(
        self,
        requests: Vec<Embed>,
        model: &Model,
        config: &Config,
    ) -> Result<Vec<Text>, ApiError> {
        let limit = self.max_requests();
        if requests.len() > limit {
            let recorded = ApiError::recorded("400_over_100_requests");
            return Err(recorded.with("100", &limit.to_string()));
        }
        if requests.is_empty() {
            let why = "at least one request is needed";
            return Err(ApiError::refused("BatchEmbedContentsRequest.requests", why));
        }
        let check = |(at, request): (usize, Embed)| {
            let at = format!("BatchEmbedContentsRequest.requests[{at}]");
            let unnamed = request.model.as_deref().unwrap_or_default().is_empty();
            if unnamed && matches!(self, Door::Gemini) {
                let why = "model is not specified";
                return Err(ApiError::refused(&format!("{at}.model"), why));
            }
            self.check(request, &at, model, config)
        };
        let texts: Vec<Text> = requests
            .into_iter()
            .enumerate()
            .map(check)
            .collect::<Result<_, _>>()?;
        let shared = |text: &Text| (text.dimensions, text.auto_truncate);
        let alike = texts.iter().all(|text| shared(text) == shared(&texts[0]));
        if !alike && matches!(self, Door::Vertex(_)) {
            let why = "all must have the same output dimensionality and auto truncation";
            return Err(ApiError::refused("BatchEmbedContentsRequest.requests", why));
        }
        Ok(texts)
    }

    /// `:embedContent` takes the model from the URL when the body has none.
    pub fn check_single(
        self,
        request: Embed,
        model: &Model,
        config: &Config,
    ) -> Result<Text, ApiError> {
        self.check(request, "EmbedContentRequest", model, config)
    }

    fn check(
        self,
        request: Embed,
        at: &str,
        model: &Model,
        config: &Config,
    ) -> Result<Text, ApiError> {
        if let Some(named) = &request.model {
            self.check_name(named, model)
                .map_err(|why| ApiError::refused(&format!("{at}.model"), why))?;
        }
        let parts = request.parts.ok_or_else(|| {
            ApiError::refused(&format!("{at}.content"), "content is not specified")
        })?;
        if parts.is_empty() || parts.iter().any(String::is_empty) {
            return Err(ApiError::recorded("400_empty_part"));
        }
        let options = request.config.unwrap_or_default();
        // However many parts a content has, it gets one vector.
        let content = parts.join("\n");
        options.or(request.flat).text(content, at, model, config)
    }

    fn check_name(self, named: &str, model: &Model) -> Result<(), &'static str> {
        let right = match self {
            Door::Gemini => {
                let id = named.strip_prefix("models/");
                id.ok_or("unexpected model name format")? == model.name
            }
            Door::Vertex(resource) => named.is_empty() || named == resource,
        };
        match right {
            true => Ok(()),
            false => Err("model does not match the model in the request URL"),
        }
    }
}

pub fn parse<T: Default>(body: &[u8], read: impl FnOnce(&mut Fields) -> T) -> Result<T, ApiError> {
    let root: Value = serde_json::from_slice(body).map_err(|error| {
        // Google shows the place in the text where this gives line and column; the beginning of the sentence is shared.
        let line = format!("Invalid JSON payload received. Unexpected token.\n{error}");
        ApiError::invalid_json(&[(String::new(), line)])
    })?;
    let mut violations = Violations::new();
    let message = Fields::read(root, String::new(), &mut violations, read);
    if violations.is_empty() {
        Ok(message)
    } else {
        Err(ApiError::invalid_json(&violations))
    }
}
