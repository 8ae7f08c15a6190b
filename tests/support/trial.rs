//! What was done to the extension and what came of it: a line of docs/reliability.md. Stories leave their trials in
//! `target/reliability`, and `make reliability` makes the page from them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

/// One fault, tried `times` times. All of it must be the same in every run of the suite, or the page could not be held against it.
pub struct Trial<'a> {
    /// The section of the page.
    pub chapter: &'a str,
    /// What was done, in a few words.
    pub fault: &'a str,
    pub times: u64,
    /// The message, or what can be observed; ports, paths and times left out.
    pub seen: &'a str,
    /// Rows whose vector was lost, wrong, or stands beside a content that it was not made from.
    pub lost: u64,
    /// Rows that were written more than once.
    pub doubled: u64,
}

impl Trial<'_> {
    /// Call it last, when all that it claims has been asserted.
    pub fn note(&self) {
        let directory = directory();
        fs::create_dir_all(&directory).expect("target/ is writable");
        let trial = json!({
            "chapter": self.chapter, "fault": self.fault, "times": self.times,
            "seen": self.seen, "lost": self.lost, "doubled": self.doubled,
        });
        let name = slug(&format!("{} {}", self.chapter, self.fault));
        fs::write(directory.join(format!("{name}.json")), trial.to_string())
            .expect("target/ is writable");
    }
}

/// All trials that stories left, in no order.
pub fn trials() -> Vec<Value> {
    let Ok(entries) = fs::read_dir(directory()) else {
        return Vec::new();
    };
    entries
        .map(|entry| fs::read(entry.expect("target/ is readable").path()).expect("it is a file"))
        .map(|trial| serde_json::from_slice(&trial).expect("a trial is JSON"))
        .collect()
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/reliability")
}

fn slug(words: &str) -> String {
    let letters = words.chars().map(|c| {
        if c.is_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    });
    letters.collect()
}
