//! The models the stand-in serves and what differs between them. All others, the retired ones too, are unknown here.

pub const MAX_DIMENSIONS: usize = 3072;

pub struct Model {
    pub name: &'static str,
    /// The name in a quota's dimensions, which is not always the name in the URL.
    pub quota_name: &'static str,
    /// What is beyond this is cut off silently.
    pub token_limit: usize,
    pub reports_usage: bool,
    /// A vector of less than `MAX_DIMENSIONS` is scaled to unit length; else it is a bare prefix of the whole vector.
    pub rescales_prefix: bool,
    /// The vector depends on the task type; else the task can only be said in the text.
    pub heeds_task_type: bool,
}

const MODELS: [Model; 2] = [
    Model {
        name: "gemini-embedding-2",
        quota_name: "gemini-embedding-2",
        token_limit: 8192,
        reports_usage: true,
        rescales_prefix: true,
        heeds_task_type: false,
    },
    Model {
        name: "gemini-embedding-001",
        quota_name: "gemini-embedding-1.0",
        token_limit: 2048,
        reports_usage: false,
        rescales_prefix: false,
        heeds_task_type: true,
    },
];

pub fn find(name: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.name == name)
}
