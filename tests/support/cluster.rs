//! A private PostgreSQL server: its own data, its own socket directory, no TCP port that could be taken. Most stories share one;
//! a story that needs another environment, preloaded libraries or another log level, that crashes its server or copies it,
//! starts its own.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use crate::{install::Install, process::Process, scratch};

pub struct Cluster {
    home: PathBuf,
    install: &'static Install,
}

static TEMPLATE: LazyLock<PathBuf> = LazyLock::new(|| {
    let template = scratch::new_directory().join("data");
    initdb(Install::get(), &template);
    template
});

static SHARED: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(&[], &[]));

const ALWAYS: &[(&str, &str)] = &[
    ("listen_addresses", ""),
    // What is tested survives a crash of the server, never one of the machine.
    ("fsync", "off"),
    // Its locks and snapshots would be taken for those of a run.
    ("autovacuum", "off"),
    ("max_connections", "200"),
    ("shared_buffers", "32MB"),
    ("jit", "off"),
];

/// With checksums, as it is from 18 on, so that a server can be upgraded.
fn initdb(install: &Install, data: &Path) {
    let mut initdb = install.server("initdb");
    initdb.args([
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--data-checksums",
        "--no-sync",
        "--pgdata",
    ]);
    succeed(initdb.arg(data));
}

impl Cluster {
    /// The server that stories share; each has its own database there.
    pub fn shared() -> &'static Cluster {
        &SHARED
    }

    /// A server of one's own, with these settings and this environment; it stops when dropped.
    pub fn start(settings: &[(&str, &str)], environment: &[(&str, &str)]) -> Cluster {
        let cluster = Cluster::stopped(settings);
        cluster.run(environment);
        cluster
    }

    /// A server of one's own that is to be started yet.
    pub(crate) fn stopped(settings: &[(&str, &str)]) -> Cluster {
        let cluster = Cluster {
            home: scratch::new_directory(),
            install: Install::get(),
        };
        let mut copy = crate::install::as_server(Command::new("cp"));
        succeed(copy.arg("-R").arg(&*TEMPLATE).arg(cluster.data()));
        cluster.configure(ALWAYS);
        cluster.configure(settings);
        cluster
    }

    /// A server of another installation, with these settings; it stops when dropped.
    pub fn start_at(install: &'static Install, settings: &[(&str, &str)]) -> Cluster {
        let cluster = Cluster {
            home: scratch::new_directory(),
            install,
        };
        initdb(install, &cluster.data());
        cluster.configure(ALWAYS);
        cluster.configure(settings);
        cluster.run(&[]);
        cluster
    }

    /// A streaming standby of this server, from a base backup; it stops when dropped.
    pub fn standby(&self) -> Cluster {
        let standby = Cluster {
            home: scratch::new_directory(),
            install: self.install,
        };
        let mut backup = self.install.server("pg_basebackup");
        backup
            .args(["--write-recovery-conf", "--no-sync", "--checkpoint=fast"])
            .args(["--username=postgres", "--host"])
            .arg(&self.home)
            .arg("--pgdata")
            .arg(standby.data());
        succeed(&mut backup);
        standby.configure(&[]);
        standby.run(&[]);
        standby
    }

    /// What a power cut does to a server: no process of it gets to clean up.
    pub fn crash(&self) {
        self.stop("immediate");
    }

    /// What an administrator does to it: sessions are ended, and each cleans up.
    pub fn shut_down(&self) {
        self.stop("fast");
    }

    pub(crate) fn stop(&self, mode: &str) {
        let mut stop = self.install.server("pg_ctl");
        stop.args(["stop", "--silent", "--mode", mode, "--pgdata"]);
        succeed(stop.arg(self.data()));
    }

    /// The process that all others of the server are children of.
    pub fn postmaster(&self) -> Process {
        let file = fs::read_to_string(self.data().join("postmaster.pid"));
        let file = file.expect("the server runs");
        let pid = file.lines().next().and_then(|line| line.parse().ok());
        Process::new(pid.expect("its first line is a process"))
    }

    /// Starts it again when all its processes have ended.
    pub fn recover(&self) {
        // Where nobody has taken note yet that a postmaster was killed, the next one would believe that it lives.
        let locks = [
            self.data().join("postmaster.pid"),
            self.home.join(".s.PGSQL.5432.lock"),
        ];
        if locks[0].exists() && self.postmaster().has_ended() {
            for lock in locks {
                fs::remove_file(lock).expect("whoever runs the server may remove its files");
            }
        }
        self.run(&[]);
    }

    /// Appends to its configuration, where the last word counts.
    fn configure(&self, settings: &[(&str, &str)]) {
        let socket = self.home.to_string_lossy();
        let socket = [("unix_socket_directories", &*socket)];
        let file = self.data().join("postgresql.conf");
        let mut file = OpenOptions::new()
            .append(true)
            .open(file)
            .expect("initdb wrote postgresql.conf");
        for (name, value) in socket.iter().chain(settings) {
            writeln!(file, "{name} = '{value}'").expect("postgresql.conf is writable");
        }
    }

    pub(crate) fn run(&self, environment: &[(&str, &str)]) {
        let mut start = self.install.server("pg_ctl");
        start
            .args(["start", "--silent", "--wait", "--pgdata"])
            .arg(self.data())
            .arg("--log")
            .arg(self.log_file());
        start.envs(environment.iter().copied());
        if !start.status().expect("pg_ctl can be run").success() {
            panic!("the server does not start:\n{}", self.log());
        }
    }

    pub(crate) fn install(&self) -> &'static Install {
        self.install
    }

    /// The directory of its socket, which is what a client takes for its host.
    pub fn host(&self) -> &Path {
        &self.home
    }

    /// All that the server has logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// The files of its data directory that have these words in them: tables, the write-ahead log, what else it keeps.
    pub fn files_with(&self, words: &str) -> Vec<String> {
        let mut checkpoint = self
            .config("postgres", "postgres")
            .connect(postgres::NoTls)
            .expect("the server takes connections");
        checkpoint
            .batch_execute("CHECKPOINT")
            .expect("a superuser may do that");
        let found = Command::new("grep")
            .args([
                "--recursive",
                "--text",
                "--files-with-matches",
                "--fixed-strings",
                "--",
                words,
            ])
            .arg(self.data())
            .output()
            .expect("grep can be run");
        let files = String::from_utf8_lossy(&found.stdout);
        files.lines().map(str::to_owned).collect()
    }

    pub fn config(&self, database: &str, user: &str) -> postgres::Config {
        let mut config = postgres::Config::new();
        config.host_path(&self.home).dbname(database).user(user);
        config
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.home.join("log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            let mut stop = self.install.server("pg_ctl");
            let _ = stop
                .args(["stop", "--silent", "--mode", "immediate", "--pgdata"])
                .arg(self.data())
                .status();
        }
        let _ = fs::remove_dir_all(&self.home);
    }
}

fn succeed(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
