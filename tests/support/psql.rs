//! The real psql, as a person uses it: what it prints, and what Ctrl-C does to it.

use std::process::{Child, Command, Stdio};

/// A psql that runs.
pub struct Psql(Child);

/// What a psql said until it ended.
#[derive(Debug)]
pub struct Said {
    pub ok: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Psql {
    pub(crate) fn start(mut command: Command) -> Psql {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Psql(command.spawn().expect("psql can be run"))
    }

    /// What Ctrl-C does.
    pub fn interrupt(&self) {
        let sent = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -INT {}", self.0.id()))
            .status();
        assert!(
            sent.expect("sh can be run").success(),
            "psql has ended already"
        );
    }

    /// What a lost connection looks like to the server.
    pub fn kill(&mut self) {
        self.0
            .kill()
            .and_then(|()| self.0.wait())
            .expect("psql can be killed");
    }

    pub fn wait(self) -> Said {
        let output = self.0.wait_with_output().expect("psql ends");
        Said {
            ok: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
