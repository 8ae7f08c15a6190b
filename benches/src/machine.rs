//! What the figures were taken on.

use std::{fs, process::Command, thread::available_parallelism, time::Instant};

use serde_json::{Value, json};
use support::{Cluster, Session};

use crate::{lab, samples::median};

pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_gb: f64,
    pub system: String,
    pub file_system: String,
    pub postgres: String,
    pub pgvector: String,
    pub rust: String,
    pub commit: String,
    pub date: String,
    /// Of a transaction that writes next to nothing: mostly the disk's.
    pub commit_ms: f64,
}

impl Machine {
    pub fn look(cluster: &Cluster) -> Machine {
        let mut session = Session::connect(cluster.config("postgres", "postgres"));
        Machine {
            cpu: line_of("/proc/cpuinfo", "model name"),
            cores: available_parallelism().map_or(1, usize::from),
            memory_gb: line_of("/proc/meminfo", "MemTotal")
                .trim_end_matches(" kB")
                .parse::<f64>()
                .map_or(0.0, |kilobytes| kilobytes / 1024.0 / 1024.0),
            system: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map(|release| format!("Linux {}", release.trim()))
                .unwrap_or_default(),
            file_system: said(
                "stat",
                &["-f", "-c", "%T", &cluster.host().to_string_lossy()],
            ),
            postgres: session.text("SELECT split_part(current_setting('server_version'), ' ', 1)"),
            pgvector: session
                .text("SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"),
            rust: said("rustc", &["--version"]),
            commit: said(
                "git",
                &[
                    "-C",
                    env!("CARGO_MANIFEST_DIR"),
                    "describe",
                    "--always",
                    "--dirty",
                ],
            ),
            date: session.text("SELECT current_date::text"),
            commit_ms: commit_ms(&mut session),
        }
    }

    /// In one line, for README.
    pub fn line(&self) -> String {
        format!(
            "{}, {} cores, {:.0} GB, {} ({}), PostgreSQL {}, pgvector {}; a commit takes {:.1} ms",
            self.cpu,
            self.cores,
            self.memory_gb,
            self.system,
            self.file_system,
            self.postgres,
            self.pgvector,
            self.commit_ms,
        )
    }

    /// In a shorter line, for a picture.
    pub fn short(&self) -> String {
        format!(
            "vector(768), PostgreSQL {}, {} cores of {}, a stand-in for Google's API on the same machine",
            self.postgres, self.cores, self.cpu
        )
    }

    pub fn json(&self) -> Value {
        json!({
            "cpu": self.cpu, "cores": self.cores, "memory_gb": self.memory_gb, "system": self.system,
            "file_system": self.file_system, "postgres": self.postgres, "pgvector": self.pgvector,
            "rust": self.rust, "commit": self.commit, "date": self.date, "commit_ms": self.commit_ms,
            "server": lab::SETTINGS.map(|(name, value)| format!("{name} = {value}")),
        })
    }
}

fn commit_ms(session: &mut Session) -> f64 {
    session.run("CREATE TABLE commits (at timestamptz)");
    let times: Vec<f64> = (0..50)
        .map(|_| {
            let began = Instant::now();
            session.run("INSERT INTO commits VALUES (now())");
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    session.run("DROP TABLE commits");
    median(&times)
}

/// What stands behind the name and a colon.
fn line_of(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .find(|line| line.starts_with(name))
        .and_then(|line| line.split_once(':'))
        .map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

/// What a program prints; it need not be there.
fn said(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}
