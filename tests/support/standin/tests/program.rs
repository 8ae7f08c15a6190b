//! The stand-in as a program of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

#[test]
fn it_ends_with_its_standard_input_when_told_to() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_google-standin"))
        .arg("--until-eof")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = program.stdin.take();
    let mut said = String::new();
    BufReader::new(program.stdout.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    assert!(said.starts_with("listening on http://127.0.0.1:"), "{said}");
    assert_eq!(program.try_wait().unwrap(), None, "it serves");
    drop(input);
    let ended = (0..1000).find_map(|_| {
        sleep(Duration::from_millis(10));
        program.try_wait().unwrap()
    });
    // Not to outlive this test where it fails.
    let _ = program.kill();
    assert!(ended.expect("it ends in time").success());
}

#[test]
fn it_writes_the_key_file_of_its_account_before_it_is_ready() {
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/account.json");
    let mut program = Command::new(env!("CARGO_BIN_EXE_google-standin"))
        .args([
            "--until-eof",
            "--project",
            "mine",
            "--service-account",
            file,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(program.stdout.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    let _ = program.kill();
    let account: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_eq!(account["project_id"], "mine");
    let here = said.trim().strip_prefix("listening on ").unwrap();
    let token_uri = here.replace("/v1beta", "/token");
    assert_eq!(account["token_uri"], token_uri);
    assert_eq!(fs::metadata(file).unwrap().mode() & 0o777, 0o600);
    let _ = program.wait();
}
