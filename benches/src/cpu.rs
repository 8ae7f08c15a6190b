//! CPU time as the kernel counts it, in hundredths of a second: of a process, its first thread and its other ones, and of
//! everybody else on the machine.

use std::{collections::HashMap, fs};

/// What the kernel's tables count in; the same on every machine that runs PostgreSQL today.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds of a process so far, its ended threads among them.
#[derive(Clone, Copy, Default)]
pub struct Cpu {
    /// Of its first thread: a backend's own.
    pub main: f64,
    /// Of all others.
    pub workers: f64,
}

impl Cpu {
    pub fn of(pid: i64) -> Cpu {
        let seconds = |path: String| {
            let stat = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            Stat::parse(&stat).own as f64 / TICKS_PER_SECOND
        };
        let all = seconds(format!("/proc/{pid}/stat"));
        let main = seconds(format!("/proc/{pid}/task/{pid}/stat"));
        Cpu {
            main,
            workers: all - main,
        }
    }

    pub fn since(self, before: Cpu) -> Cpu {
        Cpu {
            main: self.main - before.main,
            workers: self.workers - before.workers,
        }
    }

    pub fn all(self) -> f64 {
        self.main + self.workers
    }
}

/// CPU seconds of this process's children that have ended.
pub fn of_ended_children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc is mounted");
    Stat::parse(&stat).children as f64 / TICKS_PER_SECOND
}

pub fn parent(pid: i64) -> i64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    Stat::parse(&stat).parent
}

/// Tells how busy a part's time was made by others: by programs that are none of ours, and by other machines on the same host.
pub struct Watch {
    ours: Vec<i64>,
    began: Reading,
}

/// A second of one core. A part that only reads what another has measured takes none, and a single tick would be all of it.
const LEAST_TICKS: u64 = 100;

/// Shares of all the machine's cores.
#[derive(Clone, Copy, Default)]
pub struct Disturbance {
    pub programs: f64,
    pub stolen: f64,
}

#[derive(Clone, Copy)]
struct Reading {
    all: u64,
    busy: u64,
    stolen: u64,
    /// Ours, and the kernel's own threads, which write what we have written.
    known: u64,
}

impl Watch {
    /// Ours are these processes with their children, and this one with its own.
    pub fn begin(servers: &[i64]) -> Watch {
        let mut ours = servers.to_vec();
        ours.push(std::process::id().into());
        let began = Reading::now(&ours);
        Watch { ours, began }
    }

    pub fn end(&self) -> Disturbance {
        let (began, now) = (self.began, Reading::now(&self.ours));
        let all = (now.all - began.all).max(LEAST_TICKS) as f64;
        let busy = (now.busy - began.busy) as f64;
        let known = now.known.saturating_sub(began.known) as f64;
        Disturbance {
            programs: ((busy - known) / all).max(0.0),
            stolen: (now.stolen - began.stolen) as f64 / all,
        }
    }
}

impl Reading {
    fn now(ours: &[i64]) -> Reading {
        let stat = fs::read_to_string("/proc/stat").expect("/proc is mounted");
        let ticks: Vec<u64> = stat
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .map(|field| field.parse().expect("a number of ticks"))
            .collect();
        // user nice system idle iowait irq softirq steal; what follows is counted in user already.
        let (user, nice, system, stolen) = (ticks[0], ticks[1], ticks[2], ticks[7]);
        Reading {
            all: ticks[..8].iter().sum(),
            busy: user + nice + system,
            stolen,
            known: known(ours),
        }
    }
}

/// Ticks of the processes below these and of the kernel's threads. Children that have ended are in their parents' counts.
fn known(ours: &[i64]) -> u64 {
    const KERNEL: i64 = 2;
    let processes: HashMap<i64, Stat> = fs::read_dir("/proc")
        .expect("/proc is mounted")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: i64| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, Stat::parse(&stat)))
        })
        .collect();
    let is_known = |pid: i64| {
        let up = |pid: &i64| Some(processes.get(pid)?.parent);
        std::iter::successors(Some(pid), up).any(|pid| pid == KERNEL || ours.contains(&pid))
    };
    processes
        .iter()
        .filter(|(pid, _)| is_known(**pid))
        .map(|(_, stat)| stat.own + stat.children)
        .sum()
}

struct Stat {
    parent: i64,
    own: u64,
    children: u64,
}

impl Stat {
    fn parse(stat: &str) -> Stat {
        // The name may have spaces and parentheses in it.
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |at: usize| fields[at].parse::<u64>().expect("a number");
        Stat {
            parent: fields[1].parse().expect("a process's number"),
            own: number(11) + number(12),
            children: number(13) + number(14),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_like_others_fields_is_a_name() {
        let stat = Stat::parse("7 (a) R 1 (b) S 5 7 7 0 -1 4 1 2 3 4 10 20 300 400 20 0 1 0 9");
        assert_eq!((stat.parent, stat.own, stat.children), (5, 30, 700));
    }

    #[test]
    fn time_that_passes_in_a_thread_is_the_workers() {
        let spin = || {
            let until = std::time::Instant::now() + std::time::Duration::from_millis(200);
            while std::time::Instant::now() < until {
                std::hint::spin_loop();
            }
        };
        let pid = std::process::id().into();
        let before = Cpu::of(pid);
        std::thread::spawn(spin).join().expect("it spins");
        let after = Cpu::of(pid).since(before);
        assert!(after.workers > 0.0 && after.workers > after.main);
    }
}
