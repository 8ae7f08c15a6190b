//! A bare HTTP client for the tests: it writes the bytes it is given and reads answers one by one, so that nothing
//! between test and stand-in hides what is on the wire.

// Each test file is a program of its own and uses a part of this one.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use google_standin::{Config, Standin};
use serde_json::{Value, json};

pub const KEY: &str = "AQ.stand-in";
pub const MODEL: &str = "gemini-embedding-2";
pub const OLD_MODEL: &str = "gemini-embedding-001";
pub const TEXT_MODEL: &str = "text-embedding-004";

pub struct Client {
    stream: BufReader<TcpStream>,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// After chunks are put together and before anything is unpacked.
    pub body: Vec<u8>,
}

impl Client {
    pub fn new(standin: &Standin) -> Client {
        let stream = TcpStream::connect(standin.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            stream: BufReader::new(stream),
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// The next answer; `None` when the connection has ended.
    pub fn receive(&mut self) -> Option<Answer> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        while let Some((name, value)) = self.line()?.split_once(": ") {
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line()?, 16).unwrap();
            let read = self
                .stream
                .by_ref()
                .take(size as u64)
                .read_to_end(&mut body)
                .unwrap();
            assert_eq!((read, self.line()?.as_str()), (size, ""));
            if size == 0 {
                break;
            }
        }
        Some(Answer {
            status,
            headers,
            body,
        })
    }

    /// Reads the interim answer to `Expect: 100-continue`.
    pub fn expect_continue(&mut self) {
        assert_eq!(self.line().unwrap(), "HTTP/1.1 100 Continue");
        assert_eq!(self.line().unwrap(), "");
    }

    pub fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send(&request(path, &body.to_string()));
        self.receive().unwrap()
    }

    /// A request with these header lines, and no others that matter.
    pub fn ask(&mut self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        self.send(
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
                .as_bytes(),
        );
        self.receive().unwrap()
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(header, _)| header.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    pub fn vectors(&self) -> Vec<Vec<f32>> {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        let json = self.json();
        json["embeddings"]
            .as_array()
            .unwrap()
            .iter()
            .map(values)
            .collect()
    }
}

/// The floats of one embedding, each read from its own digits.
pub fn values(embedding: &Value) -> Vec<f32> {
    let values = embedding["values"].as_array().unwrap().iter();
    values
        .map(|value| value.to_string().parse().unwrap())
        .collect()
}

pub fn request(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nx-goog-api-key: {KEY}\r\n");
    format!("{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").into()
}

pub fn batch_path(model: &str) -> String {
    format!("/v1beta/models/{model}:batchEmbedContents")
}

pub fn batch(model: &str, texts: &[&str], dimensions: usize) -> Value {
    let request = |text| {
        json!({
            "model": format!("models/{model}"),
            "content": {"parts": [{"text": text}]},
            "outputDimensionality": dimensions,
        })
    };
    json!({"requests": texts.iter().map(request).collect::<Vec<_>>()})
}

pub fn embed(client: &mut Client, model: &str, texts: &[&str], dimensions: usize) -> Answer {
    client.post(&batch_path(model), &batch(model, texts, dimensions))
}

pub fn start(config: Config) -> (Standin, Client) {
    let standin = Standin::start(config);
    let client = Client::new(&standin);
    (standin, client)
}

/// Of a model at Vertex AI.
pub fn vertex_path(model: &str, method: &str) -> String {
    format!("/v1/projects/stand-in/locations/global/publishers/google/models/{model}:{method}")
}

/// A request that bears a good token.
pub fn bearing(standin: &Standin, path: &str, body: &Value) -> Answer {
    let bearer = format!("Authorization: Bearer {}", standin.access_token());
    Client::new(standin).ask("POST", path, &[&bearer], &body.to_string())
}

pub fn predict(standin: &Standin, model: &str, body: &Value) -> Answer {
    bearing(standin, &vertex_path(model, "predict"), body)
}

pub fn instances(texts: &[&str]) -> Value {
    json!({"instances": texts.iter().map(|text| json!({"content": text})).collect::<Vec<_>>()})
}

/// The vectors of the predictions, each value by its own digits, which are those of an f64.
pub fn predicted(answer: &Answer) -> Vec<Vec<f32>> {
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    let json = answer.json();
    let predictions = json["predictions"].as_array().unwrap();
    predictions
        .iter()
        .map(|one| values(&one["embeddings"]))
        .collect()
}

/// Whether Vertex AI takes the token of this answer.
pub fn opens(standin: &Standin, granted: &Answer) -> bool {
    let token = granted.json()["access_token"].as_str().unwrap().to_owned();
    let path = "/v1beta1/projects/stand-in/locations/us-central1/publishers/google/models/text-embedding-005:predict";
    let bearer = format!("Authorization: Bearer {token}");
    let body = json!({"instances": [{"content": "a"}]}).to_string();
    Client::new(standin)
        .ask("POST", path, &[&bearer], &body)
        .status
        == 200
}
