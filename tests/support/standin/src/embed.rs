//! What an embedding request says and whether Google would take it. Parsing finds what is not in the schema, `check`
//! what the service refuses; only texts are served, so other kinds of part are unknown here.

use serde_json::Value;

use crate::config::Config;
use crate::errors::ApiError;
use crate::models::{MAX_DIMENSIONS, Model};
use crate::protojson::{Fields, Violations};

const MAX_REQUESTS: usize = 100;

const TASK_TYPE: &str = "google.ai.generativelanguage.v1beta.TaskType";
const TASK_TYPES: [&str; 9] = [
    "TASK_TYPE_UNSPECIFIED",
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
];

/// One text to embed.
#[derive(Default)]
pub struct Embed {
    model: Option<String>,
    parts: Option<Vec<String>>,
    flat: Options,
    config: Option<Options>,
}

/// What may be said both beside the content, which is deprecated, and in `embedContentConfig`, which wins.
#[derive(Default)]
struct Options {
    task_type: Option<&'static str>,
    title: Option<String>,
    dimensions: Option<i64>,
    auto_truncate: Option<bool>,
}

/// A text that was found good.
pub struct Text {
    pub text: String,
    pub task_type: &'static str,
    pub dimensions: usize,
    pub auto_truncate: bool,
}

/// The sub-requests of `:batchEmbedContents`.
pub fn parse_batch(body: &[u8]) -> Result<Vec<Embed>, ApiError> {
    parse(body, |fields| fields.repeated("requests", read_embed))
}

/// The lone request of `:embedContent`.
pub fn parse_single(body: &[u8]) -> Result<Embed, ApiError> {
    parse(body, read_embed)
}

fn parse<T: Default>(body: &[u8], read: impl FnOnce(&mut Fields) -> T) -> Result<T, ApiError> {
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

fn read_embed(fields: &mut Fields) -> Embed {
    let content = |fields: &mut Fields| {
        fields.string("role");
        fields.repeated("parts", |part| part.string("text").unwrap_or_default())
    };
    let options = |fields: &mut Fields| Options {
        task_type: fields.one_of("taskType", TASK_TYPE, &TASK_TYPES),
        title: fields.string("title"),
        dimensions: fields.integer("outputDimensionality"),
        auto_truncate: None,
    };
    Embed {
        model: fields.string("model"),
        parts: fields.message("content", content),
        flat: options(fields),
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

/// Checks the sub-requests of a batch against the model in the URL and against each other.
pub fn check_batch(
    requests: Vec<Embed>,
    model: &Model,
    config: &Config,
) -> Result<Vec<Text>, ApiError> {
    if requests.len() > MAX_REQUESTS {
        return Err(ApiError::recorded("400_over_100_requests"));
    }
    if requests.is_empty() {
        let why = "at least one request is needed";
        return Err(ApiError::refused("BatchEmbedContentsRequest.requests", why));
    }
    let check = |(at, request): (usize, Embed)| {
        let at = format!("BatchEmbedContentsRequest.requests[{at}]");
        if request.model.as_deref().unwrap_or_default().is_empty() {
            let why = "model is not specified";
            return Err(ApiError::refused(&format!("{at}.model"), why));
        }
        check(request, &at, model, config)
    };
    requests.into_iter().enumerate().map(check).collect()
}

/// `:embedContent` takes the model from the URL when the body has none.
pub fn check_single(request: Embed, model: &Model, config: &Config) -> Result<Text, ApiError> {
    check(request, "EmbedContentRequest", model, config)
}

fn check(request: Embed, at: &str, model: &Model, config: &Config) -> Result<Text, ApiError> {
    let refused = |field: &str, why: &str| ApiError::refused(&format!("{at}.{field}"), why);
    if let Some(named) = &request.model {
        let Some(id) = named.strip_prefix("models/") else {
            return Err(refused("model", "unexpected model name format"));
        };
        if id != model.name {
            return Err(refused(
                "model",
                "model does not match the model in the request URL",
            ));
        }
    }
    let parts = request
        .parts
        .ok_or_else(|| refused("content", "content is not specified"))?;
    if parts.is_empty() || parts.iter().any(String::is_empty) {
        return Err(ApiError::recorded("400_empty_part"));
    }
    let options = request.config.unwrap_or_default();
    let task_type = options
        .task_type
        .or(request.flat.task_type)
        .unwrap_or_default();
    let title = options
        .title
        .or(request.flat.title)
        .filter(|title| !title.is_empty());
    if title.is_some() && task_type != "RETRIEVAL_DOCUMENT" {
        let why = "title is only applicable when task_type is RETRIEVAL_DOCUMENT";
        return Err(refused("title", why));
    }
    let dimensions = match options.dimensions.or(request.flat.dimensions) {
        None => MAX_DIMENSIONS,
        Some(asked) => usize::try_from(asked)
            .ok()
            .filter(|asked| (config.min_dimensions..=MAX_DIMENSIONS).contains(asked))
            .ok_or_else(|| ApiError::dimensions(at, config.min_dimensions, asked))?,
    };
    // However many parts a content has, it gets one vector; a title is part of what that vector is of.
    let text = title
        .into_iter()
        .chain(parts)
        .collect::<Vec<_>>()
        .join("\n");
    Ok(Text {
        text,
        task_type,
        dimensions,
        auto_truncate: options.auto_truncate.unwrap_or(true),
    })
}
