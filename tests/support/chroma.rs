//! The real ChromaDB server on a free loopback port, with data of its own; it ends with its story.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{install::clean, process::Process, scratch, sockets::listens, store::Store};

/// Where its programs are; the first use installs them.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let installed = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/support/chroma.sh"))
        .stderr(Stdio::inherit())
        .output()
        .expect("bash can be run");
    assert!(
        installed.status.success(),
        "ChromaDB could not be installed"
    );
    let directory = String::from_utf8(installed.stdout).expect("a path in UTF-8");
    directory.trim_end().into()
});

static SHARED: LazyLock<Chroma> = LazyLock::new(Chroma::start);

/// Kills the server and removes its data however the tests end, since only they hold the other end of its input.
const LEASH: &str = r#"
    trap '' HUP INT TERM
    "$@" </dev/null >>"$HOME/log" 2>&1 &
    echo $!
    read -r order
    kill -KILL $!
    wait $!
    [ "$order" = keep ] || rm -rf "$HOME""#;

pub struct Chroma {
    home: PathBuf,
    address: SocketAddr,
    leash: Mutex<Child>,
}

impl Chroma {
    /// The server that stories share; each has a store of its own there.
    pub fn shared() -> &'static Chroma {
        &SHARED
    }

    pub fn start() -> Chroma {
        let home = scratch::new_directory();
        // Between our look at the port and its own, somebody else may take it.
        let (address, leash) = (0..5)
            .find_map(|_| {
                let address = free_address();
                Some((address, launch(&home, address)?))
            })
            .unwrap_or_else(|| panic!("Chroma does not start:\n{}", log(&home)));
        Chroma {
            home,
            address,
            leash: Mutex::new(leash),
        }
    }

    /// A Python that has the official client.
    pub fn python() -> Command {
        let mut python = Command::new(PROGRAMS.join("python"));
        clean(&mut python);
        python.env("NO_PROXY", "127.0.0.1");
        python
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A database of one's own there.
    pub fn store(&self, database: &str) -> Store<'_> {
        Store::create(self, database)
    }

    /// `kill -9`.
    pub fn kill(&self) {
        let mut leash = self.leash();
        let input = leash.stdin.as_mut().expect("its input is a pipe");
        input.write_all(b"keep\n").expect("the shell reads");
        leash.wait().expect("the shell ends");
    }

    /// Starts it again on the same data and port.
    pub fn revive(&self) {
        *self.leash() = launch(&self.home, self.address)
            .unwrap_or_else(|| panic!("Chroma does not start again:\n{}", log(&self.home)));
    }

    /// The status and the body of an answer.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (status, body) =
            exchange(self.address, method, path, &body.to_string()).expect("Chroma answers");
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn leash(&self) -> MutexGuard<'_, Child> {
        self.leash.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Chroma {
    fn drop(&mut self) {
        // Which closes its input.
        let _ = self.leash().wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port on 127.0.0.1")
}

/// None where it ended instead of listening there.
fn launch(home: &Path, address: SocketAddr) -> Option<Child> {
    let mut command = Command::new("sh");
    clean(&mut command);
    // Under the tests' own account, since Python may be in its home.
    let mut leash = command
        .args(["-c", LEASH, "leash"])
        .arg(PROGRAMS.join("chroma"))
        .args(["run", "--host", "127.0.0.1", "--port"])
        .arg(address.port().to_string())
        .arg("--path")
        .arg(home.join("data"))
        .env("HOME", home)
        .env("ANONYMIZED_TELEMETRY", "False")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("sh can be run");
    let mut pid = String::new();
    let output = leash.stdout.take().expect("its output is a pipe");
    BufReader::new(output)
        .read_line(&mut pid)
        .expect("the shell tells its child");
    let server = Process::new(pid.trim_end().parse().expect("a process"));
    // Right after its installation, with its files not read yet, it takes its time.
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut up = false;
    while !up && !server.has_ended() && Instant::now() < deadline {
        sleep(Duration::from_millis(20));
        up = listens(server, address);
    }
    if !up {
        let input = leash.stdin.as_mut().expect("its input is a pipe");
        let _ = input.write_all(b"keep\n");
        leash.wait().expect("the shell ends");
    }
    up.then_some(leash)
}

fn log(home: &Path) -> String {
    fs::read_to_string(home.join("log")).unwrap_or_default()
}

/// In HTTP/1.0, by which an answer ends with its connection.
fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
) -> io::Result<(u16, Vec<u8>)> {
    let mut server = TcpStream::connect(address)?;
    let length = body.len();
    write!(
        server,
        "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let status = String::from_utf8_lossy(&answer[..answer.len().min(16)])
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let (Some(head), Some(status)) = (head, status) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    Ok((status, answer.split_off(head + 4)))
}
