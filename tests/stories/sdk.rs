//! Google's own SDK, as another client of the same stand-in, gets the vectors that our client stored: the stand-in is not made
//! to fit our client, nor our client to fit it.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::LazyLock,
};

use serde_json::{Value, json};
use support::{Db, prompt};

/// A Python with the SDK in it, kept under target/.
static PYTHON: LazyLock<String> = LazyLock::new(|| {
    let venv = concat!(env!("CARGO_TARGET_TMPDIR"), "/google-genai");
    let python = format!("{venv}/bin/python");
    // One that was cut short has no pip yet.
    let pip = format!("{venv}/bin/pip");
    if !Path::new(&pip).exists() {
        succeed(Command::new("python3").args(["-m", "venv", "--clear", venv]));
    }
    succeed(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "google-genai==3.4.0",
    ]));
    python
});

fn succeed(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What the SDK answers to what sdk.py takes.
pub fn ask_sdk(question: &Value) -> Value {
    let mut command = Command::new(&*PYTHON);
    command.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/support/standin/sdk.py"
    ));
    support::clean(&mut command);
    command
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut sdk = command.spawn().expect("python runs");
    sdk.stdin
        .take()
        .expect("its input is a pipe")
        .write_all(question.to_string().as_bytes())
        .unwrap();
    let answer = sdk.wait_with_output().unwrap();
    assert!(answer.status.success(), "the SDK failed");
    serde_json::from_slice(&answer.stdout).expect("the answer is JSON")
}

/// Embeds rows through the extension, the same texts through the SDK, and compares.
fn same_vectors(
    model: &str,
    dimensions: usize,
    as_sent: fn(&str) -> String,
    task_type: Option<&str>,
) {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(&format!(
        "CREATE TABLE logs (id serial, body text, embedding vector({dimensions}))"
    ));
    for text in [
        "plain",
        "naïve café 日本語 👩‍👧",
        "two\nlines \"quoted\" \\ and \u{2028}",
    ] {
        session
            .execute("INSERT INTO logs (body) VALUES ($1)", &[&text])
            .unwrap();
    }
    assert_eq!(
        session
            .embed(&format!("'logs', model => '{model}'"))
            .unwrap(),
        3
    );
    let rows = session
        .query("SELECT body, embedding FROM logs ORDER BY id", &[])
        .unwrap();

    let texts: Vec<String> = rows.iter().map(|row| as_sent(row.get(0))).collect();
    let answer = ask_sdk(&json!({
        "base_url": db.api.base_url(), "key": db.key(), "model": model, "dimensions": dimensions,
        "texts": texts, "task_type": task_type,
    }));
    let vectors = answer["vectors"]
        .as_array()
        .unwrap_or_else(|| panic!("no vectors: {answer}"));
    assert_eq!(vectors.len(), 3);
    for (row, vector) in rows.iter().zip(vectors) {
        let stored: pgvector::Vector = row.get(1);
        let vector: Vec<f64> = vector
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_f64().unwrap())
            .collect();
        let norm = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
        assert_eq!(stored.as_slice().len(), vector.len());
        for (ours, theirs) in stored.as_slice().iter().zip(vector) {
            assert!(
                (f64::from(*ours) - theirs / norm).abs() < 1e-6,
                "{ours} and {}",
                theirs / norm
            );
        }
    }
}

#[test]
fn the_official_sdk_gets_the_same_vectors() {
    same_vectors("gemini-embedding-2", 768, prompt, None);
}

#[test]
fn the_official_sdk_gets_the_same_vectors_of_gemini_embedding_001() {
    same_vectors(
        "gemini-embedding-001",
        768,
        str::to_owned,
        Some("RETRIEVAL_DOCUMENT"),
    );
}
