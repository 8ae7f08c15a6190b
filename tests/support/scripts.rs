//! Install and update scripts of the extension that a story adds to the private server.

use std::{fs, path::PathBuf};

use crate::install::Install;

/// Removes them when dropped.
#[derive(Default)]
pub struct Scripts(Vec<PathBuf>);

impl Scripts {
    /// A script for these versions, such as `0.1.0` or `0.1.0--0.2.0`; never one that the extension has itself.
    pub fn add(&mut self, versions: &str, sql: &str) {
        let path = path(versions);
        assert!(!path.exists(), "{} is not the story's", path.display());
        put(&path, sql);
        self.0.push(path);
    }
}

impl Drop for Scripts {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// Puts the install script of an old release where `CREATE EXTENSION` finds it, for good: other stories may be using it.
pub fn install_release(version: &str, sql: &str) {
    put(&path(version), sql);
}

fn path(versions: &str) -> PathBuf {
    Install::get().extension_file(&format!("embedding_backfill--{versions}.sql"))
}

/// At once, since the server may be reading.
fn put(path: &PathBuf, sql: &str) {
    let new = path.with_extension(format!("{:?}", std::thread::current().id()));
    fs::write(&new, sql).expect("the server's extension directory is writable");
    fs::rename(&new, path).expect("it is one directory");
}
