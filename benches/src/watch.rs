//! Looks at a backend while it works: the memory of its own, which is neither shared buffers nor files, and its CPU.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread::{self, sleep},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use support::{Process, Session};

use crate::cpu::Cpu;

const EVERY: Duration = Duration::from_millis(5);

/// All looks, in order; the first is at the idle backend.
pub struct Looks(Vec<Look>);

struct Look {
    /// In seconds since 1970, as the server counts.
    at: f64,
    memory_kb: u64,
    cpu: f64,
}

impl Looks {
    pub fn while_it_works(session: &mut Session, work: impl FnOnce(&mut Session)) -> Looks {
        let backend = Process::of(session);
        let mut looks = vec![Look::at(backend)];
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let watch = scope.spawn(|| {
                while !done.load(Relaxed) {
                    looks.push(Look::at(backend));
                    sleep(EVERY);
                }
                looks.push(Look::at(backend));
            });
            let ends = EndsWatch(&done);
            work(session);
            drop(ends);
            watch.join().expect("the backend lives");
        });
        Looks(looks)
    }

    /// The most memory over what it had idle, in MB.
    pub fn growth(&self) -> f64 {
        let most = self.0.iter().map(|look| look.memory_kb).max();
        (most.unwrap_or_default() - self.0[0].memory_kb) as f64 / 1024.0
    }

    /// CPU seconds between two moments.
    pub fn cpu(&self, from: f64, to: f64) -> f64 {
        let by = |moment: f64| {
            let next = self.0.partition_point(|look| look.at < moment);
            self.0[next.min(self.0.len() - 1)].cpu
        };
        by(to) - by(from)
    }
}

impl Look {
    fn at(backend: Process) -> Look {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Look {
            at: now.unwrap_or_default().as_secs_f64(),
            memory_kb: backend.memory_kb(),
            cpu: Cpu::of(backend.pid()).all(),
        }
    }
}

/// Also where the work fails.
struct EndsWatch<'a>(&'a AtomicBool);

impl Drop for EndsWatch<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
