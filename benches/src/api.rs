//! The stand-in for Google's API as a process of its own, so that what it costs can be told from what it serves.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use crate::cpu::Cpu;

pub struct Api {
    process: Child,
    base_url: String,
}

impl Api {
    /// Without compression, which would be most of its work. `flags` are those of `google-standin --help`.
    pub fn start(key: &str, flags: &[&str]) -> Api {
        let program = std::env::current_exe()
            .expect("a running program has a path")
            .with_file_name("google-standin");
        let mut process = Command::new(&program)
            .args(["--until-eof", "--no-gzip", "--key", key])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut said = String::new();
        let stdout = process.stdout.take().expect("its output is a pipe");
        BufReader::new(stdout)
            .read_line(&mut said)
            .expect("its output is text");
        let base_url = said
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("the stand-in does not start: {said}"))
            .to_owned();
        Api { process, base_url }
    }

    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Such as `127.0.0.1:80`.
    pub fn address(&self) -> &str {
        let address = self.base_url.trim_start_matches("http://");
        address.split('/').next().unwrap_or_default()
    }

    pub fn cpu(&self) -> f64 {
        Cpu::of(self.process.id().into()).all()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        if let Ok(Some(status)) = self.process.try_wait() {
            eprintln!("the stand-in has ended before: {status}");
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
