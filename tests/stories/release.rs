//! What a release is made of says the same version everywhere, and archives of it hold what they name.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::upgrade::this_version;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn read(file: &str) -> String {
    fs::read_to_string(format!("{ROOT}/{file}")).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn every_file_names_the_same_version() {
    let version = this_version();
    let cargo = format!("[package]\nname = \"embedding_backfill\"\nversion = \"{version}\"\n");
    assert!(read("Cargo.toml").starts_with(&cargo), "Cargo.toml");
    let locked = format!("name = \"embedding_backfill\"\nversion = \"{version}\"\n");
    assert!(read("Cargo.lock").contains(&locked), "Cargo.lock");
    let changes = read("CHANGELOG.md");
    let newest = changes
        .lines()
        .find(|line| line.starts_with("## ["))
        .unwrap();
    assert!(newest.starts_with(&format!("## [{version}]")), "{newest}");
}

// Who has installed a release has its script; what is frozen there is what updates are tried from. `make freeze` notes it.
#[test]
fn each_frozen_script_is_what_it_was() {
    let fixtures = format!("{ROOT}/tests/fixtures");
    let checked = Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(&fixtures)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let sums = read("tests/fixtures/SHA256SUMS");
    let scripts = fs::read_dir(&fixtures).unwrap().filter_map(|file| {
        let name = file.unwrap().file_name().into_string().unwrap();
        name.ends_with(".sql").then_some(name)
    });
    for script in scripts {
        assert!(sums.contains(&format!("  {script}\n")), "{script}");
    }
}

// The versions that are released lead to this one.
#[test]
fn each_release_has_an_update() {
    let sums = read("tests/fixtures/SHA256SUMS");
    let newest = sums.lines().last().unwrap();
    let newest = newest.rsplit("--").next().unwrap().trim_end_matches(".sql");
    if newest != this_version() {
        read(&format!(
            "sql/embedding_backfill--{newest}--{}.sql",
            this_version()
        ));
    }
}

// By PGXN's Meta Spec 1.0.0, which refuses a release without these.
#[test]
fn the_distribution_is_described_for_pgxn() {
    let version = this_version();
    let meta: Value = serde_json::from_str(&read("META.json")).unwrap();
    assert_eq!(meta["name"], "embedding_backfill");
    assert_eq!(meta["version"], *version);
    assert_eq!(meta["meta-spec"]["version"], "1.0.0");
    assert_eq!(meta["license"], "mit");
    for text in ["abstract", "maintainer"] {
        assert!(
            meta[text].as_str().is_some_and(|text| !text.is_empty()),
            "{text}"
        );
    }
    let extension = &meta["provides"]["embedding_backfill"];
    assert_eq!(extension["version"], *version);
    for file in ["file", "docfile"] {
        let file = extension[file].as_str().unwrap();
        assert!(Path::new(ROOT).join(file).exists(), "{file}");
    }
    assert!(extension["file"].as_str().unwrap().contains(&version));
}
