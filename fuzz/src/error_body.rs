//! The body of anything but a 200: whatever it is, it becomes one short line of plain words, without the key, and a verdict.

use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, process, sync::LazyLock};

use embedding_backfill::{
    engine::{failure::Failure, key::ApiKey, verdict},
    gemini::{
        error::{self, ApiError, Kind, Period},
        provider::Provider,
    },
};

/// In no body but where somebody repeats it.
pub const KEY: &str = "AQ.Ab8-key_of_the_fuzzer";

/// So much of it is a secret, too.
const PIECE: usize = 8;

/// A message, or a quota's name: 300 characters and an ellipsis.
const LONGEST: usize = 301;

static API_KEY: LazyLock<ApiKey> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("embedding_backfill-fuzz-{}", process::id()));
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    file.and_then(|mut file| file.write_all(KEY.as_bytes()))
        .expect("the directory for temporary files is writable");
    let key = ApiKey::load(path.to_str()).expect("the key is in the file");
    fs::remove_file(path).expect("the file is ours");
    key
});

/// `input` is a status on a line of its own and a body; without such a line, the body of a 500.
pub fn check(input: &[u8]) {
    let (status, body) = split(input);
    let error = error::parse(Provider::Gemini, status, body, |words| API_KEY.scrub(words));
    assert_eq!(error.http_status, status);
    assert!(possible(status, &error.kind), "{status}: {error:?}");
    line(&error.message);
    if let Kind::Quota(quota) = &error.kind {
        line(quota.id.as_deref().unwrap_or_default());
        assert!(
            quota.retry_after.is_none_or(|pause| pause.as_secs() >= 1),
            "{quota:?}"
        );
        // However short the pause is that comes with it.
        let says_day = quota.id.as_ref().is_some_and(|id| id.contains("PerDay"));
        assert!(!says_day || quota.period == Period::Day, "{quota:?}");
    }
    keeps_the_key(&error);
    for texts in [1, 100] {
        verdict::judge(&Failure::Refused(error.clone()), texts);
    }
}

fn split(input: &[u8]) -> (u16, &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let status = std::str::from_utf8(&input[..end]).ok();
    match status.and_then(|status| status.parse().ok()) {
        Some(status) => (status, &input[end + 1..]),
        None => (500, input),
    }
}

/// What a status can mean at all, whatever the body says.
fn possible(status: u16, kind: &Kind) -> bool {
    match (status, kind) {
        (400, Kind::Key | Kind::Project | Kind::Form | Kind::Request) => true,
        (401 | 403, Kind::Key) | (404, Kind::Model) | (413, Kind::Form | Kind::Request) => true,
        (429, Kind::Quota(_)) | (408 | 499 | 500..=599, Kind::Unavailable) => true,
        (401 | 403 | 408 | 413 | 429 | 499..=599, _) => false,
        (_, kind) => *kind == Kind::NotTheApi,
    }
}

fn line(words: &str) {
    assert!(words.chars().count() <= LONGEST, "too long: {words:?}");
    let plain = |c: char| !c.is_control() && (c == ' ' || !c.is_whitespace());
    assert!(words.chars().all(plain), "not one plain line: {words:?}");
}

/// However it is cut or spelled, no piece of it is told.
fn keeps_the_key(error: &ApiError) {
    let said = format!("{error} {error:?}");
    for piece in KEY.as_bytes().windows(PIECE) {
        let piece = String::from_utf8_lossy(piece);
        assert!(!said.contains(&*piece), "{piece} of the key is in {said}");
    }
}
