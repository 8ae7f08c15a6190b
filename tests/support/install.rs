//! The PostgreSQL installation that `PG_CONFIG` names and the account its servers run under. Programs are started with a clean
//! environment, so that nothing of the person who runs the tests (a key, a `PGHOST`, a backtrace setting) leaks into a story.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

/// One installation: where its programs and extensions are.
pub struct Install {
    bindir: PathBuf,
    libdir: PathBuf,
    sharedir: PathBuf,
}

static INSTALL: LazyLock<Install> = LazyLock::new(|| {
    let pg_config = std::env::var_os("PG_CONFIG")
        .expect("PG_CONFIG must name the pg_config of the PostgreSQL to test");
    Install::at(Path::new(&pg_config))
});

/// The server's account when it can't be the tests' own: PostgreSQL refuses to run as root.
static NOBODY: LazyLock<Option<(u32, u32)>> = LazyLock::new(|| {
    let root = fs::metadata("/proc/self").expect("/proc is mounted").uid() == 0;
    root.then(|| {
        let accounts = fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
        let line = accounts
            .lines()
            .find(|line| line.starts_with("nobody:"))
            .expect("there is an account nobody");
        let id = |field| {
            line.split(':')
                .nth(field)
                .and_then(|id| id.parse().ok())
                .expect("nobody has numeric ids")
        };
        (id(2), id(3))
    })
});

impl Install {
    pub fn get() -> &'static Install {
        &INSTALL
    }

    /// Another one, by its pg_config.
    pub fn at(pg_config: &Path) -> Install {
        let ask = |option: &str| {
            let answer = Command::new(pg_config)
                .arg(option)
                .output()
                .expect("pg_config runs");
            String::from_utf8(answer.stdout)
                .expect("pg_config answers in UTF-8")
                .trim()
                .to_owned()
        };
        Install {
            bindir: ask("--bindir").into(),
            libdir: ask("--pkglibdir").into(),
            sharedir: ask("--sharedir").into(),
        }
    }

    pub fn bindir(&self) -> &Path {
        &self.bindir
    }

    /// Whether `CREATE EXTENSION` knows this extension here.
    pub fn offers(&self, extension: &str) -> bool {
        self.extension_file(&format!("{extension}.control"))
            .exists()
    }

    /// Where `CREATE EXTENSION` looks for a file of this name.
    pub fn extension_file(&self, name: &str) -> PathBuf {
        self.sharedir.join("extension").join(name)
    }

    /// Where the server looks for a library of this name.
    pub fn library_file(&self, name: &str) -> PathBuf {
        self.libdir.join(name)
    }

    /// A program of the installation, run under the tests' own account: psql.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.bindir.join(program));
        clean(&mut command);
        command
    }

    /// A program of the installation, run under the server's account: initdb, pg_ctl.
    pub fn server(&self, program: &str) -> Command {
        as_server(self.client(program))
    }
}

/// Has the command run under the server's account.
pub(crate) fn as_server(mut command: Command) -> Command {
    if let Some((user, group)) = *NOBODY {
        command.uid(user).gid(group);
    }
    command.current_dir("/");
    command
}

/// Gives a file or directory to the server's account.
pub(crate) fn give_to_server(path: &Path) {
    if let Some((user, group)) = *NOBODY {
        std::os::unix::fs::chown(path, Some(user), Some(group)).expect("root can give files away");
    }
}

/// Takes what could be private to the person who runs the tests out of a program's environment.
pub fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let private = ["PG", "GEMINI_", "GOOGLE_", "RUST_", "LC_"];
        if name
            .to_str()
            .is_none_or(|name| private.iter().any(|prefix| name.starts_with(prefix)))
        {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C.UTF-8");
}
