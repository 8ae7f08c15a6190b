//! Reading a message the way ProtoJSON does: names in camelCase and snake_case, null as absent, integers also as
//! strings, and nothing unknown. It collects every violation, in Google's words, instead of ending at the first.

use serde_json::{Map, Value};

/// Pairs of field path and description.
pub type Violations = Vec<(String, String)>;

/// The fields of one message that were not read yet.
pub struct Fields<'a> {
    object: Map<String, Value>,
    path: String,
    violations: &'a mut Violations,
}

impl<'a> Fields<'a> {
    /// Reads a message with `read` and reports what is left as unknown.
    pub fn read<T: Default>(
        value: Value,
        path: String,
        violations: &'a mut Violations,
        read: impl FnOnce(&mut Fields) -> T,
    ) -> T {
        let Value::Object(object) = value else {
            let why = "Root element must be a message.";
            violations.push((path, unknown_name("", "", why)));
            return T::default();
        };
        let mut fields = Fields {
            object,
            path,
            violations,
        };
        let message = read(&mut fields);
        for name in fields.object.keys() {
            let line = unknown_name(name, &fields.path, "Cannot find field.");
            fields.violations.push((fields.path.clone(), line));
        }
        message
    }

    pub fn message<T: Default>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Fields) -> T,
    ) -> Option<T> {
        let value = self.take(name)?;
        let path = self.path_of(name);
        Some(Fields::read(value, path, self.violations, read))
    }

    pub fn repeated<T: Default>(
        &mut self,
        name: &str,
        mut read: impl FnMut(&mut Fields) -> T,
    ) -> Vec<T> {
        let path = self.path_of(name);
        match self.take(name) {
            None => Vec::new(),
            Some(Value::Array(items)) => items
                .into_iter()
                .enumerate()
                .map(|(at, item)| {
                    Fields::read(item, format!("{path}[{at}]"), self.violations, &mut read)
                })
                .collect(),
            // ProtoJSON takes a lone message for a list of one.
            Some(item) => vec![Fields::read(
                item,
                format!("{path}[0]"),
                self.violations,
                read,
            )],
        }
    }

    pub fn string(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => self.invalid(name, "TYPE_STRING", &other),
        }
    }

    pub fn integer(&mut self, name: &str) -> Option<i64> {
        let value = self.take(name)?;
        let number = match &value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_f64(),
            _ => None,
        };
        match number {
            Some(number) if number.fract() == 0.0 && i32::try_from(number as i64).is_ok() => {
                Some(number as i64)
            }
            _ => self.invalid(name, "TYPE_INT32", &value),
        }
    }

    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(value) => Some(value),
            other => self.invalid(name, "TYPE_BOOL", &other),
        }
    }

    /// The value by its name or its number in `values`.
    pub fn one_of(
        &mut self,
        name: &str,
        type_name: &str,
        values: &[&'static str],
    ) -> Option<&'static str> {
        let value = self.take(name)?;
        let known = match &value {
            Value::String(text) => values.iter().find(|value| *value == text),
            Value::Number(number) => number.as_u64().and_then(|at| values.get(at as usize)),
            _ => None,
        };
        match known {
            Some(known) => Some(known),
            None => self.invalid(name, &format!("type.googleapis.com/{type_name}"), &value),
        }
    }

    /// A `google.protobuf.Value`; null when absent.
    pub fn any(&mut self, name: &str) -> Value {
        self.take(name).unwrap_or_default()
    }

    /// A list of these.
    pub fn any_list(&mut self, name: &str) -> Vec<Value> {
        match self.any(name) {
            Value::Null => Vec::new(),
            Value::Array(items) => items,
            item => vec![item],
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let value = self
            .object
            .remove(name)
            .or_else(|| self.object.remove(&snake_case(name)));
        value.filter(|value| !value.is_null())
    }

    fn path_of(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => snake_case(name),
            path => format!("{path}.{}", snake_case(name)),
        }
    }

    fn invalid<T>(&mut self, name: &str, type_name: &str, value: &Value) -> Option<T> {
        let path = self.path_of(name);
        let line = format!("Invalid value at '{path}' ({type_name}), {value}");
        self.violations.push((path, line));
        None
    }
}

fn unknown_name(name: &str, path: &str, why: &str) -> String {
    let at = match path {
        "" => String::new(),
        path => format!(" at '{path}'"),
    };
    format!("Invalid JSON payload received. Unknown name \"{name}\"{at}: {why}")
}

/// Google names fields by their proto names, whichever form the request used.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
