//! A server process as the kernel shows it: its threads, files and memory. It only looks, but for `kill`.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::FileExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::session::Session;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Process(i64);

impl Process {
    pub fn new(pid: i64) -> Process {
        Process(pid)
    }

    /// The backend that serves this session.
    pub fn of(session: &mut Session) -> Process {
        Process(session.number("SELECT pg_backend_pid()::bigint"))
    }

    pub fn pid(self) -> i64 {
        self.0
    }

    pub fn lives(self) -> bool {
        self.path("").exists()
    }

    /// It runs no more, though whoever has started it may not have noticed yet.
    pub fn has_ended(self) -> bool {
        let status = fs::read_to_string(self.path("status"));
        status.is_err() || status.is_ok_and(|status| field(&status, "State:").starts_with('Z'))
    }

    /// `kill -9`.
    pub fn kill(self) {
        let sent = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -KILL {}", self.0))
            .status();
        assert!(
            sent.expect("sh can be run").success(),
            "process {} has ended already",
            self.0
        );
    }

    /// What it talks through; the files of tables, which PostgreSQL keeps open as it likes, are not counted.
    pub fn pipes_and_sockets(self) -> usize {
        let open = self.open_files();
        let talks = |target: &&String| target.starts_with("pipe:") || target.starts_with("socket:");
        open.iter().filter(talks).count()
    }

    /// All that it has open, as the kernel names it.
    pub fn open_files(self) -> Vec<String> {
        fs::read_dir(self.path("fd"))
            .expect("the process lives")
            .filter_map(|file| fs::read_link(file.expect("/proc can be read").path()).ok())
            .map(|target| target.to_string_lossy().into_owned())
            .collect()
    }

    /// Processes that it has started and that are still there.
    pub fn children(self) -> Vec<Process> {
        let ours = format!("\nPPid:\t{}\n", self.0);
        fs::read_dir("/proc")
            .expect("/proc is mounted")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .map(Process)
            .filter(|process| {
                fs::read_to_string(process.path("status"))
                    .is_ok_and(|status| status.contains(&ours))
            })
            .collect()
    }

    /// Memory of its own in kB: neither files nor what it shares with the other processes.
    pub fn memory_kb(self) -> u64 {
        self.amount("RssAnon:")
    }

    /// The most that it ever had in kB, with what it shares.
    pub fn peak_memory_kb(self) -> u64 {
        self.amount("VmHWM:")
    }

    fn amount(self, name: &str) -> u64 {
        let status = fs::read_to_string(self.path("status")).expect("the process lives");
        let amount = field(&status, name).trim_end_matches("kB").trim();
        amount.parse().expect("an amount of kB")
    }

    /// The signals that its first thread blocks, bit 0 for signal 1.
    pub fn blocked_by_the_first(self) -> u64 {
        let status = fs::read_to_string(self.path("status")).expect("the process lives");
        blocked(&status)
    }

    /// The signals that each of the others blocks. Threads that end meanwhile are left out.
    pub fn blocked_by_the_others(self) -> Vec<u64> {
        let others = self.others();
        others.iter().map(|status| blocked(status)).collect()
    }

    /// The names of all threads but the first. One that another part of the server had started would have the server's.
    pub fn names_of_the_others(self) -> Vec<String> {
        let others = self.others();
        let names = others.iter().map(|status| field(status, "Name:"));
        names.map(str::to_owned).collect()
    }

    fn others(self) -> Vec<String> {
        self.threads()
            .into_iter()
            .filter(|thread| *thread != self.0.to_string())
            .filter_map(|thread| {
                fs::read_to_string(self.path(&format!("task/{thread}/status"))).ok()
            })
            .collect()
    }

    /// IDs of its threads; the first one's is the process's.
    pub fn threads(self) -> Vec<String> {
        fs::read_dir(self.path("task"))
            .expect("the process lives")
            .map(|thread| thread.expect("/proc can be read").file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    }

    /// How often these words are in the memory that is its own, as a core dump would show; `None` where the tests may not look.
    pub fn memory_has(self, words: &str) -> Option<usize> {
        let memory = File::open(self.path("mem")).ok()?;
        let maps = fs::read_to_string(self.path("maps")).expect("the process lives");
        let mut regions = Vec::new();
        for map in maps.lines().filter(|map| map.contains(" rw-p ")) {
            let (range, _) = map.split_once(' ').expect("a range and more");
            let (from, to) = range.split_once('-').expect("two addresses");
            let [from, to] = [from, to].map(|hex| u64::from_str_radix(hex, 16).expect("hex"));
            let mut region = vec![0; (to - from) as usize];
            memory.read_exact_at(&mut region, from).ok()?;
            regions.push(region);
        }
        // It looks through megabytes quicker than tests do that are built without optimisation.
        let mut grep = Command::new("grep")
            .args(["--text", "--only-matching", "--fixed-strings", "--", words])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("grep can be run");
        let mut input = grep.stdin.take().expect("its input is a pipe");
        for region in regions {
            input.write_all(&region).expect("grep reads all");
        }
        drop(input);
        let found = grep.wait_with_output().expect("grep ends").stdout;
        Some(found.iter().filter(|byte| **byte == b'\n').count())
    }

    fn path(self, what: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{what}", self.0))
    }
}

fn blocked(status: &str) -> u64 {
    u64::from_str_radix(field(status, "SigBlk:"), 16).expect("a mask")
}

fn field<'s>(status: &'s str, name: &str) -> &'s str {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_else(|| panic!("no {name} in {status}"))
        .trim()
}
