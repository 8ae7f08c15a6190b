//! One private directory for this test process. A watchdog stops every server in it and removes it when the process has ended,
//! also when it was killed: the watchdog reads from a pipe that only this process holds, and no exit path can forget that.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{ChildStdin, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::install::{Install, as_server, give_to_server};

struct Scratch {
    path: PathBuf,
    _alive: ChildStdin,
}

// Short, because the path of a Unix socket has a limit of 107 bytes, and open to the server's account.
static SCRATCH: LazyLock<Scratch> = LazyLock::new(|| {
    let path = PathBuf::from(format!("/tmp/eb-{}", std::process::id()));
    fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    give_to_server(&path);
    let script = r#"
        trap '' HUP INT TERM
        read -r _
        for pid in "$0"/*/data/postmaster.pid; do
            [ -f "$pid" ] && "$1" stop --silent --mode immediate --pgdata "${pid%/postmaster.pid}"
        done
        rm -rf "$0""#;
    let mut watchdog = as_server(Command::new("sh"));
    watchdog
        .arg("-c")
        .arg(script)
        .arg(&path)
        .arg(Install::get().client("pg_ctl").get_program());
    watchdog
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let alive = watchdog
        .spawn()
        .expect("sh can be run")
        .stdin
        .take()
        .expect("its input is a pipe");
    Scratch {
        path,
        _alive: alive,
    }
});

/// A new, empty directory in it that belongs to the server's account.
pub(crate) fn new_directory() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let path = SCRATCH
        .path
        .join(NEXT.fetch_add(1, Ordering::Relaxed).to_string());
    fs::create_dir(&path).expect("the private directory is writable");
    give_to_server(&path);
    path
}
