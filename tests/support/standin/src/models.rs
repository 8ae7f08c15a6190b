//! The models the stand-in serves and what differs between them. All others are unknown here, the retired ones to the door
//! that they were retired from.

pub struct Model {
    pub name: &'static str,
    /// The name in a quota's dimensions, which is not always the name in the URL.
    pub quota_name: &'static str,
    /// Values of a whole vector.
    pub max_dimensions: usize,
    /// What is beyond this is cut off silently.
    pub token_limit: usize,
    pub reports_usage: bool,
    /// A smaller vector is scaled to unit length; else it is a bare prefix of the whole vector.
    pub rescales_prefix: bool,
    /// The vector depends on the task type; else the task can only be said in the text.
    pub heeds_task_type: bool,
    /// Served by the Gemini API. Vertex AI serves all.
    pub on_gemini: bool,
    /// Vertex AI takes it by `:embedContent` and `:batchEmbedContents`.
    pub embeds_content: bool,
    /// Vertex AI takes it by `:predict`.
    pub predicts: bool,
}

const GEMINI_2: Model = Model {
    name: "gemini-embedding-2",
    quota_name: "gemini-embedding-2",
    max_dimensions: 3072,
    token_limit: 8192,
    reports_usage: true,
    rescales_prefix: true,
    heeds_task_type: false,
    on_gemini: true,
    embeds_content: true,
    predicts: false,
};

const GEMINI_1: Model = Model {
    name: "gemini-embedding-001",
    quota_name: "gemini-embedding-1.0",
    max_dimensions: 3072,
    token_limit: 2048,
    reports_usage: false,
    rescales_prefix: false,
    heeds_task_type: true,
    on_gemini: true,
    embeds_content: true,
    predicts: true,
};

/// Of the family that only Vertex AI serves.
const fn text_embedding(name: &'static str) -> Model {
    Model {
        name,
        quota_name: name,
        max_dimensions: 768,
        token_limit: 2048,
        reports_usage: true,
        rescales_prefix: false,
        heeds_task_type: true,
        on_gemini: false,
        embeds_content: false,
        predicts: true,
    }
}

const MODELS: [Model; 5] = [
    GEMINI_2,
    GEMINI_1,
    text_embedding("text-embedding-004"),
    text_embedding("text-embedding-005"),
    text_embedding("text-multilingual-embedding-002"),
];

pub fn find(name: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.name == name)
}
