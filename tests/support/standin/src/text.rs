//! A text that is to be embedded, and what may be asked of its vector, whatever message it came in.

use crate::config::Config;
use crate::errors::ApiError;
use crate::models::Model;

/// In the order of their numbers, but for the first, which each API names in its own way.
pub const TASK_TYPES: [&str; 9] = [
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

#[derive(Default)]
pub struct Options {
    pub task_type: Option<&'static str>,
    pub title: Option<String>,
    pub dimensions: Option<i64>,
    pub auto_truncate: Option<bool>,
}

/// A text that was found good.
pub struct Text {
    pub text: String,
    pub task_type: &'static str,
    pub dimensions: usize,
    pub auto_truncate: bool,
    /// Those beyond the model's limit too; none before the text is measured.
    pub tokens: usize,
}

impl Options {
    /// These, and what they leave open from `others`.
    pub fn or(self, others: Options) -> Options {
        Options {
            task_type: self.task_type.or(others.task_type),
            title: self.title.or(others.title),
            dimensions: self.dimensions.or(others.dimensions),
            auto_truncate: self.auto_truncate.or(others.auto_truncate),
        }
    }

    /// `at` is the place in the request.
    pub fn text(
        self,
        content: String,
        at: &str,
        model: &Model,
        config: &Config,
    ) -> Result<Text, ApiError> {
        let task_type = self.task_type.unwrap_or_default();
        let title = self.title.filter(|title| !title.is_empty());
        if title.is_some() && task_type != "RETRIEVAL_DOCUMENT" {
            let why = "title is only applicable when task_type is RETRIEVAL_DOCUMENT";
            return Err(ApiError::refused(&format!("{at}.title"), why));
        }
        let range = config.min_dimensions..=model.max_dimensions;
        let dimensions = match self.dimensions {
            None => model.max_dimensions,
            Some(asked) => usize::try_from(asked)
                .ok()
                .filter(|asked| range.contains(asked))
                .ok_or_else(|| ApiError::dimensions(at, *range.start(), *range.end(), asked))?,
        };
        Ok(Text {
            // A title is part of what the vector is of.
            text: match title {
                Some(title) => title + "\n" + &content,
                None => content,
            },
            task_type,
            dimensions,
            auto_truncate: self.auto_truncate.unwrap_or(true),
            tokens: 0,
        })
    }
}

impl Text {
    /// Whether the model reads a part of it only.
    pub fn is_cut(&self, model: &Model) -> bool {
        self.tokens > model.token_limit
    }

    /// As Google counts them: of "Hello, world!" it was seen to bill 12.
    pub fn billable_characters(&self) -> usize {
        let characters = self.text.chars();
        characters.filter(|letter| !letter.is_whitespace()).count()
    }
}
