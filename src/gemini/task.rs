//! What a vector is for, as Google names it, and the text form that gemini-embedding-2 wants instead of the name.

use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskType {
    RetrievalDocument,
    RetrievalQuery,
    SemanticSimilarity,
    Classification,
    Clustering,
    QuestionAnswering,
    FactVerification,
    CodeRetrievalQuery,
}

use TaskType::*;

impl TaskType {
    pub const ALL: [TaskType; 8] = [
        RetrievalDocument,
        RetrievalQuery,
        SemanticSimilarity,
        Classification,
        Clustering,
        QuestionAnswering,
        FactVerification,
        CodeRetrievalQuery,
    ];

    /// The name in the API's enum.
    pub fn name(self) -> &'static str {
        match self {
            RetrievalDocument => "RETRIEVAL_DOCUMENT",
            RetrievalQuery => "RETRIEVAL_QUERY",
            SemanticSimilarity => "SEMANTIC_SIMILARITY",
            Classification => "CLASSIFICATION",
            Clustering => "CLUSTERING",
            QuestionAnswering => "QUESTION_ANSWERING",
            FactVerification => "FACT_VERIFICATION",
            CodeRetrievalQuery => "CODE_RETRIEVAL_QUERY",
        }
    }

    /// The text with the task in it, in the form of Google's embeddings guide.
    pub fn prompt(self, text: &str) -> String {
        let task = match self {
            RetrievalDocument => return format!("title: none | text: {text}"),
            RetrievalQuery => "search result",
            SemanticSimilarity => "sentence similarity",
            Classification => "classification",
            Clustering => "clustering",
            QuestionAnswering => "question answering",
            FactVerification => "fact checking",
            CodeRetrievalQuery => "code retrieval",
        };
        format!("task: {task} | query: {text}")
    }

    /// The known names, for a hint.
    pub fn known_names() -> String {
        Self::ALL.map(TaskType::name).join(", ")
    }
}

impl FromStr for TaskType {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|task| task.name().eq_ignore_ascii_case(name))
            .ok_or(())
    }
}
