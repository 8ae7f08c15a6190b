//! One HTTP request as it came in: what scripts decide on and tests look at. It judges nothing.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which connection it came on, counted from 1.
    pub connection: u64,
    pub method: String,
    /// The path with its query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(header, _)| header.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// Whether a comma-separated header has this element.
    pub(crate) fn header_has(&self, name: &str, element: &str) -> bool {
        let elements = self.header(name).unwrap_or_default().split(',');
        let names = elements.map(|element| element.split(';').next().unwrap_or_default());
        names
            .into_iter()
            .any(|name| name.trim().eq_ignore_ascii_case(element))
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.path.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The texts asked to be embedded, one a sub-request or instance, as they were sent.
    pub fn texts(&self) -> Vec<String> {
        let json = self.json();
        let of_parts = |request: &Value| {
            let parts = request["content"]["parts"].as_array()?;
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            Some(texts.collect::<Vec<_>>().join("\n"))
        };
        if let Some(instances) = json["instances"].as_array() {
            let texts = instances.iter().filter_map(|one| one["content"].as_str());
            return texts.map(str::to_owned).collect();
        }
        match json["requests"].as_array() {
            Some(requests) => requests.iter().filter_map(of_parts).collect(),
            None => of_parts(&json).into_iter().collect(),
        }
    }
}
