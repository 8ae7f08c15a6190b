//! What all texts of a run have in common, and how it words each of them.

use std::borrow::Cow;

use super::model::{Model, TaskForm};
use super::task::TaskType;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Purpose {
    pub model: &'static Model,
    pub dimensions: u32,
    pub task: TaskType,
}

impl Purpose {
    /// A text with what the task adds to it.
    pub fn as_sent<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.model.task_form {
            TaskForm::Prefix => Cow::Owned(self.task.prompt(text)),
            TaskForm::TaskType => Cow::Borrowed(text),
        }
    }

    /// The task where the model is told it by name.
    pub(super) fn task_type(&self) -> Option<&'static str> {
        match self.model.task_form {
            TaskForm::TaskType => Some(self.task.name()),
            TaskForm::Prefix => None,
        }
    }
}
