//! What a vector says about its text: nothing but which text it is, or, with word vectors, what the text is about.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::models::{self, Model};
use crate::oracle::Recipe;
use crate::tokens;
use crate::words::Words;

#[derive(Clone, Default)]
pub enum Semantics {
    /// The vector of `google_standin::vector`.
    #[default]
    Hash,
    /// The mean of word vectors: texts on like subjects get like vectors.
    Words(Arc<Words>),
}

impl Semantics {
    /// Word vectors from the two data files of wordllama in this directory.
    pub fn words(directory: impl AsRef<Path>) -> io::Result<Semantics> {
        Ok(Semantics::Words(Arc::new(Words::load(directory.as_ref())?)))
    }

    /// The vector of a text.
    ///
    /// # Panics
    /// When the model is unknown.
    pub fn vector(&self, text: &str, model: &str, dimensions: usize, task_type: &str) -> Vec<f32> {
        let model = models::find(model).unwrap_or_else(|| panic!("unknown model {model}"));
        let mut values = Vec::new();
        self.fill(&mut values, text, model, dimensions, task_type);
        values
    }

    /// How many tokens the text has, those beyond the model's limit too.
    pub fn tokens(&self, text: &str) -> usize {
        match self {
            Semantics::Hash => tokens::count(text),
            Semantics::Words(words) => words.tokens(text),
        }
    }

    /// Replaces what is in `values` by the text's vector.
    pub fn fill(
        &self,
        values: &mut Vec<f32>,
        text: &str,
        model: &Model,
        dimensions: usize,
        task_type: &str,
    ) {
        match self {
            Semantics::Words(words) => {
                let length = prefix_norm(model, dimensions);
                if words.fill(values, content(text), model.token_limit, dimensions, length) {
                    return;
                }
                // A text without a word has no direction, but Google gives it a vector too.
                Recipe::new(text, model, dimensions, task_type).fill(values);
            }
            Semantics::Hash => Recipe::new(text, model, dimensions, task_type).fill(values),
        }
    }
}

/// The norm that the model's vectors have at this size.
fn prefix_norm(model: &Model, dimensions: usize) -> f32 {
    if model.rescales_prefix || dimensions == model.max_dimensions {
        1.0
    } else {
        0.58
    }
}

/// The text without the prompt that says what it is for. To the real model a prompt is an instruction; a mean of word
/// vectors would take its words for content, and so move all documents away from all queries.
fn content(text: &str) -> &str {
    let stripped = text.strip_prefix("title: none | text: ").or_else(|| {
        let (task, query) = text.strip_prefix("task: ")?.split_once(" | query: ")?;
        (!task.contains('|')).then_some(query)
    });
    stripped.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::content;

    #[test]
    fn a_query_and_a_document_meet_without_their_prompts() {
        assert_eq!(content("title: none | text: a cat"), "a cat");
        assert_eq!(content("task: search result | query: a cat"), "a cat");
        assert_eq!(content("a cat | query: x"), "a cat | query: x");
    }
}
