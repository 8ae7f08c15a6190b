//! Makes docs/reliability.md from what the stories left in target/reliability, or holds the page against it:
//!     reliability write|check

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

fn main() -> ExitCode {
    match run(&std::env::args().nth(1).unwrap_or_default()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: &str) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reliability.md");
    let page = support::page(&support::trials())?;
    match verb {
        "write" => fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display())),
        "check" if fs::read_to_string(&path).ok().as_ref() == Some(&page) => Ok(()),
        "check" => {
            show_difference(&path, &page);
            Err("docs/reliability.md says something else than the stories; where they are right, type: make reliability".into())
        }
        _ => Err("usage: reliability write|check".into()),
    }
}

/// Between the page as it is and as it would be.
fn show_difference(path: &Path, page: &str) {
    let diff = Command::new("diff")
        .args([
            "-u",
            "--label",
            "docs/reliability.md",
            "--label",
            "the stories",
        ])
        .arg(path)
        .arg("-")
        .stdin(Stdio::piped())
        .spawn();
    // Without it the message is all there is.
    if let Ok(mut diff) = diff {
        let _ = diff
            .stdin
            .take()
            .map(|mut input| input.write_all(page.as_bytes()));
        let _ = diff.wait();
    }
}
