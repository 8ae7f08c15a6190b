//! The message of Vertex AI's `:predict`. To its schema instances and parameters are any JSON, so that what is wrong in them
//! the model finds. Google's words for that were not seen, but for an empty list and for one that is too long.

use serde_json::Value;

use crate::config::Config;
use crate::embed;
use crate::errors::ApiError;
use crate::models::Model;
use crate::text::{Options, TASK_TYPES, Text};

const MAX_INSTANCES: usize = 250;

#[derive(Default)]
pub struct Predict {
    instances: Vec<Value>,
    parameters: Value,
}

pub fn parse(body: &[u8]) -> Result<Predict, ApiError> {
    embed::parse(body, |fields| {
        fields.any("labels");
        Predict {
            instances: fields.any_list("instances"),
            parameters: fields.any("parameters"),
        }
    })
}

impl Predict {
    pub fn check(self, model: &Model, config: &Config) -> Result<Vec<Text>, ApiError> {
        if self.instances.is_empty() {
            return Err(ApiError::recorded("400_vertex_empty_instances"));
        }
        if self.instances.len() > MAX_INSTANCES {
            return Err(ApiError::recorded("400_vertex_too_many_instances"));
        }
        let shared = parameters(&self.parameters)?;
        let check = |(at, instance): (usize, &Value)| {
            let at = format!("instances[{at}]");
            let (content, options) = read_instance(instance, &at)?;
            let options = Options {
                dimensions: shared.dimensions,
                auto_truncate: shared.auto_truncate,
                ..options
            };
            options.text(content, &at, model, config)
        };
        self.instances.iter().enumerate().map(check).collect()
    }
}

fn parameters(parameters: &Value) -> Result<Options, ApiError> {
    let mut options = Options::default();
    for (name, value) in object(parameters, "parameters")? {
        let wrong = || wrong_type("parameters", name);
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("autoTruncate", value) => {
                options.auto_truncate = Some(value.as_bool().ok_or_else(wrong)?);
            }
            ("outputDimensionality", value) => {
                let number = value.as_f64().filter(|number| number.fract() == 0.0);
                options.dimensions = Some(number.ok_or_else(wrong)? as i64);
            }
            _ => return Err(unknown("parameters", name)),
        }
    }
    Ok(options)
}

/// The content and what is said of it alone.
fn read_instance(instance: &Value, at: &str) -> Result<(String, Options), ApiError> {
    let mut content = String::new();
    let mut options = Options::default();
    for (name, value) in object(instance, at)? {
        let wrong = || wrong_type(at, name);
        let text = || value.as_str().map(str::to_owned).ok_or_else(wrong);
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("content", _) => content = text()?,
            ("title", _) => options.title = Some(text()?),
            ("task_type", value) => {
                let mut known = TASK_TYPES[1..].iter().copied();
                let known = known.find(|known| value == known);
                options.task_type = Some(known.ok_or_else(wrong)?);
            }
            _ => return Err(unknown(at, name)),
        }
    }
    match content.is_empty() {
        true => Err(ApiError::invalid_argument("The text content is empty.")),
        false => Ok((content, options)),
    }
}

fn object<'a>(
    value: &'a Value,
    at: &str,
) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, ApiError> {
    let fields = match value {
        Value::Null => None,
        Value::Object(fields) => Some(fields),
        _ => return Err(ApiError::refused(at, "must be an object")),
    };
    Ok(fields.into_iter().flatten())
}

fn wrong_type(at: &str, name: &str) -> ApiError {
    ApiError::refused(&format!("{at}.{name}"), "not a value of its type")
}

fn unknown(at: &str, name: &str) -> ApiError {
    ApiError::refused(at, &format!("unknown field \"{name}\""))
}
