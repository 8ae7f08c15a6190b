//! What a server process takes of the machine at a moment, to be held against another moment.

use support::Process;

#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub memory_kb: u64,
    pub threads: usize,
    pub pipes_and_sockets: usize,
    pub files: usize,
}

impl Load {
    pub fn of(process: Process) -> Load {
        Load {
            memory_kb: process.memory_kb(),
            threads: process.threads().len(),
            pipes_and_sockets: process.pipes_and_sockets(),
            files: process.open_files().len(),
        }
    }

    /// Memory at its most, and the rest as it is now: a name is looked up in a thread of its own, for a moment.
    pub fn then(self, now: Load) -> Load {
        Load {
            memory_kb: self.memory_kb.max(now.memory_kb),
            ..now
        }
    }

    /// The most of both.
    pub fn most(self, other: Load) -> Load {
        Load {
            memory_kb: self.memory_kb.max(other.memory_kb),
            threads: self.threads.max(other.threads),
            pipes_and_sockets: self.pipes_and_sockets.max(other.pipes_and_sockets),
            files: self.files.max(other.files),
        }
    }

    /// The most of its memory, and what both have of the rest: what comes for a moment only is left out.
    pub fn lasting(self, other: Load) -> Load {
        Load {
            memory_kb: self.memory_kb.max(other.memory_kb),
            threads: self.threads.min(other.threads),
            pipes_and_sockets: self.pipes_and_sockets.min(other.pipes_and_sockets),
            files: self.files.min(other.files),
        }
    }
}
