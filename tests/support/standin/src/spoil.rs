//! Answers that are wrong though they are delivered well: the right vectors, spelled or put together as Google would not.
//! None but `Fault::MinusZero`, `FortyDigits`, `ReorderedKeys` and perhaps those that a JSON parser may take or leave
//! can be stored as they are.

use std::fmt::Write;

use serde_json::json;

use crate::answer::Form;
use crate::errors::ApiError;
use crate::fault::Fault;
use crate::reply::Reply;

/// How deep lists are nested; a parser that calls itself for each needs megabytes of stack.
const DEPTH: usize = 100_000;

/// Of a text of which nothing is said but that it was read.
const STATISTICS: &str = r#""statistics": {"token_count": 1, "truncated": false}"#;

/// The values of each vector as they are spelled.
type Spelled = Vec<Vec<String>>;

/// The body that `fault` makes of these vectors.
pub fn answer(fault: Fault, vectors: &[Vec<f32>], form: Form, tokens: u64) -> Vec<u8> {
    let usage = match form {
        Form::Predict => format!(r#""metadata": {{"billableCharacterCount": {tokens}}}"#),
        _ => format!(r#""usageMetadata": {{"promptTokenCount": {tokens}}}"#),
    };
    let spell = |value: &f32| match fault {
        // A float is a sum of powers of two, so that its decimals have an end, which for most of these is within 40.
        Fault::FortyDigits => format!("{:.40}", f64::from(*value)),
        Fault::Strings => format!("\"{value:?}\""),
        _ => format!("{value:?}"),
    };
    let mut spelled: Spelled = vectors
        .iter()
        .map(|values| values.iter().map(spell).collect())
        .collect();
    let reversed: Spelled = spelled.iter().rev().cloned().collect();
    respell(fault, &mut spelled);
    let embeddings = |vectors: &Spelled| listed(form, vectors.iter().map(|one| values_of(one)));
    let vectors = embeddings(&spelled);
    let extra = |extra: &str| format!(r#"{{{vectors}, {usage}, "extra": {extra}}}"#).into_bytes();
    match fault {
        Fault::DuplicateEmbeddings => {
            format!("{{{}, {vectors}, {usage}}}", embeddings(&reversed)).into()
        }
        Fault::DuplicateValues => {
            let pairs = reversed
                .iter()
                .zip(&spelled)
                .map(|(first, second)| format!("{}, {}", values_of(first), values_of(second)));
            format!("{{{}, {usage}}}", listed(form, pairs)).into()
        }
        Fault::ReorderedKeys => {
            let list = spelled.iter().map(|values| {
                format!(
                    r#""shape": [{}], {}, "index": "0""#,
                    values.len(),
                    values_of(values)
                )
            });
            let list = listed(form, list);
            format!(r#"{{"x": {{"values": [1]}}, {usage}, {list}}}"#).into()
        }
        Fault::DeepInside => extra(&deep()),
        Fault::Bom => format!("\u{feff}{{{vectors}, {usage}}}").into(),
        Fault::InvalidUtf8 => {
            let mut body = extra("\"?\"");
            let at = body.iter().rposition(|&byte| byte == b'?');
            body[at.expect("it is there")] = 0xff;
            body
        }
        _ => format!("{{{vectors}, {usage}}}").into(),
    }
}

/// What comes where no vectors do; `None` for what is more than an answer.
pub fn instead(fault: Fault) -> Option<Reply> {
    let told = |status: u16| json!({"code": status, "message": "Not now.", "status": "UNKNOWN"});
    match fault {
        Fault::Deep => Some(Reply::json(200, deep())),
        Fault::NoBody => Some(Reply::json(200, "")),
        Fault::NoEmbeddings => Some(Reply::json(200, "{}")),
        Fault::NullEmbeddings => Some(Reply::json(200, r#"{"embeddings": null}"#)),
        Fault::List => Some(Reply::json(200, "[]")),
        Fault::ErrorWith200 => {
            let error = ApiError::recorded("500_internal");
            Some(Reply::json(200, error.json()))
        }
        Fault::Html => {
            let page = "<!DOCTYPE html>\n<title>Sign in to the Wi-Fi</title>\n";
            Some(Reply::html(200, page))
        }
        Fault::BadGateway => Some(Reply::html(502, "<html><h1>502 Bad Gateway</h1></html>\n")),
        Fault::Forbidden => Some(Reply::html(403, "<html><h1>Forbidden</h1></html>\n")),
        Fault::Status(status) => {
            let error = json!({ "error": told(status) });
            Some(Reply::json(status, error.to_string()))
        }
        _ => None,
    }
}

fn respell(fault: Fault, vectors: &mut Spelled) {
    let Some(last) = vectors.last_mut() else {
        return;
    };
    let mut set = |value: &str| {
        if let Some(last) = last.last_mut() {
            *last = value.into();
        }
    };
    match fault {
        Fault::Nan => set("NaN"),
        Fault::Infinity => set("Infinity"),
        Fault::Huge => set("1e999"),
        Fault::BeyondFloat => set("1e39"),
        Fault::Null => set("null"),
        Fault::Nested => set("[0.5]"),
        Fault::ShortVector => drop(last.pop()),
        Fault::LongVector => last.push("0.5".into()),
        Fault::EmptyVector => last.clear(),
        Fault::ZeroVector => last.fill("0".into()),
        Fault::More => {
            let again = last.clone();
            vectors.push(again);
        }
        Fault::Fewer => drop(vectors.pop()),
        Fault::NoVectors => vectors.clear(),
        Fault::MinusZero => {
            for first in vectors.iter_mut().filter_map(|values| values.first_mut()) {
                *first = "-0".into();
            }
        }
        _ => {}
    }
}

/// The list of vectors, by the name that it has in this form.
fn listed(form: Form, vectors: impl Iterator<Item = String>) -> String {
    let mut list = String::new();
    for fields in vectors {
        let comma = if list.is_empty() { "" } else { "," };
        // Writing to a string can't fail.
        let _ = match form {
            Form::Predict => write!(
                list,
                r#"{comma}{{"embeddings": {{{STATISTICS}, {fields}}}}}"#
            ),
            _ => write!(list, "{comma}{{{fields}}}"),
        };
    }
    match form {
        Form::Predict => format!(r#""predictions": [{list}]"#),
        _ => format!(r#""embeddings": [{list}]"#),
    }
}

fn values_of(values: &[String]) -> String {
    format!(r#""values": [{}]"#, values.join(","))
}

fn deep() -> String {
    "[".repeat(DEPTH) + &"]".repeat(DEPTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The vectors that a lenient reader gets, each value by its digits.
    fn read(fault: Fault, form: Form) -> Option<Vec<Vec<f32>>> {
        let vectors = [vec![0.1, 5.9387264e-7], vec![-0.25, 3e-30]];
        let body: Value = serde_json::from_slice(&answer(fault, &vectors, form, 3)).ok()?;
        let list = match form {
            Form::Predict => body["predictions"].as_array()?.iter(),
            _ => body["embeddings"].as_array()?.iter(),
        };
        let values = |vector: &Value| {
            let vector = match form {
                Form::Predict => &vector["embeddings"],
                _ => vector,
            };
            let values = vector["values"].as_array()?.iter();
            values.map(|value| value.to_string().parse().ok()).collect()
        };
        list.map(values).collect()
    }

    fn each(faults: &[Fault]) -> impl Iterator<Item = (Fault, Form)> {
        let forms = [Form::Batch, Form::Predict];
        let pairs = faults
            .iter()
            .map(move |fault| forms.map(|form| (*fault, form)));
        pairs.flatten()
    }

    #[test]
    fn what_is_spelled_oddly_and_right_reads_back_the_same() {
        let right = Some(vec![vec![0.1, 5.9387264e-7], vec![-0.25, 3e-30]]);
        let faults = [
            Fault::FortyDigits,
            Fault::ReorderedKeys,
            Fault::DuplicateEmbeddings,
            Fault::DuplicateValues,
        ];
        for (fault, form) in each(&faults) {
            let mut read = read(fault, form);
            // Forty decimals are not enough for so small a value.
            if let (Fault::FortyDigits, Some(vectors)) = (fault, &mut read) {
                assert!((vectors[1][1] - 3e-30).abs() < 1e-36);
                vectors[1][1] = 3e-30;
            }
            assert_eq!(read, right, "{fault}");
        }
        let first = Some(vec![vec![-0.0, 5.9387264e-7], vec![-0.0, 3e-30]]);
        assert_eq!(read(Fault::MinusZero, Form::Batch), first);
    }

    #[test]
    fn what_is_wrong_is_wrong() {
        let right = read(Fault::ReorderedKeys, Form::Batch);
        assert!(right.is_some());
        for (fault, form) in each(&Fault::all()) {
            let spoils = fault.stage() == crate::fault::Stage::Answer;
            let may_be_right = matches!(
                fault,
                Fault::FortyDigits
                    | Fault::ReorderedKeys
                    | Fault::DuplicateEmbeddings
                    | Fault::DuplicateValues
            );
            if spoils && !may_be_right {
                assert_ne!(read(fault, form), right, "{fault}");
            }
        }
    }
}
