//! Holds every stored vector against the stand-in's own function of the text that must have been sent, so that a swapped, stale
//! or unscaled vector is seen.

use crate::session::Session;

/// What `gemini-embedding-2` is sent for a document.
pub fn prompt(content: &str) -> String {
    format!("title: none | text: {content}")
}

/// How vectors of a model come about.
pub struct Space {
    model: &'static str,
    task_type: &'static str,
    prompt: fn(&str) -> String,
    tolerance: f32,
}

impl Space {
    pub const GEMINI_2: Space = Space {
        model: "gemini-embedding-2",
        task_type: "",
        prompt,
        tolerance: 1e-6,
    };
    pub const GEMINI_1: Space = Space {
        model: "gemini-embedding-001",
        task_type: "RETRIEVAL_DOCUMENT",
        prompt: str::to_owned,
        tolerance: 1e-6,
    };
    pub const TEXT_4: Space = Space::of_text_model("text-embedding-004");
    /// As stored by `halfvec`, which keeps 11 bits of each value.
    pub const GEMINI_2_HALF: Space = Space {
        model: "gemini-embedding-2",
        task_type: "",
        prompt,
        tolerance: 1e-3,
    };

    /// Of the family that is told the task by its name.
    pub const fn of_text_model(model: &'static str) -> Space {
        Space {
            model,
            ..Space::GEMINI_1
        }
    }

    /// The vector that must be stored beside this content.
    pub fn vector(&self, content: &str, dimensions: usize) -> Vec<f32> {
        let vector = google_standin::vector_for(
            &(self.prompt)(content),
            self.model,
            dimensions,
            self.task_type,
        );
        let norm = vector
            .iter()
            .map(|&x| f64::from(x).powi(2))
            .sum::<f64>()
            .sqrt();
        vector
            .iter()
            .map(|&x| (f64::from(x) / norm) as f32)
            .collect()
    }

    /// Checks every row of the relation that has a vector; gives their number.
    #[track_caller]
    pub fn holds(
        &self,
        session: &mut Session,
        relation: &str,
        content: &str,
        embedding: &str,
    ) -> usize {
        let query = format!(
            "SELECT {content}, {embedding}::vector FROM {relation} WHERE {embedding} IS NOT NULL"
        );
        let rows = session
            .query(&query, &[])
            .unwrap_or_else(|error| panic!("{query}: {error:?}"));
        for row in &rows {
            let (content, stored): (String, pgvector::Vector) = (row.get(0), row.get(1));
            let stored = stored.as_slice();
            let right = self.vector(&content, stored.len());
            let difference = stored
                .iter()
                .zip(&right)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(
                difference <= self.tolerance,
                "not the vector of its content (off by {difference}): {content:?}"
            );
        }
        rows.len()
    }
}
