//! What the threads of a stand-in share: configuration, statistics, quotas, and the end of it all. The one lock is never
//! held while anything waits, reads, writes or runs a script.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::config::Config;
use crate::errors::ApiError;
use crate::models::Model;
use crate::quota::Quotas;
use crate::reply::Reply;
use crate::request::Request;
use crate::stats::Stats;

pub struct Shared {
    listener: TcpListener,
    state: Mutex<State>,
    /// Signals `State::stopping` and `State::refusing`.
    stopped: Condvar,
    /// Signals `State::stats`.
    changed: Condvar,
}

pub struct State {
    pub config: Arc<Config>,
    pub stats: Stats,
    pub requests: Vec<Request>,
    quotas: Quotas,
    /// Requests whose first byte has come.
    begun: u64,
    streams: HashMap<u64, TcpStream>,
    stopping: bool,
    /// The port is kept, and nobody listens on it.
    refusing: bool,
}

/// Connections that may wait to be accepted.
pub const BACKLOG: i32 = 128;

const UNPOISONED: &str = "no thread panics while it holds the state";

impl Shared {
    pub fn new(config: Config, listener: TcpListener) -> Shared {
        Shared {
            listener,
            state: Mutex::new(State {
                config: Arc::new(config),
                stats: Stats::default(),
                requests: Vec::new(),
                quotas: Quotas::default(),
                begun: 0,
                streams: HashMap::new(),
                stopping: false,
                refusing: false,
            }),
            stopped: Condvar::new(),
            changed: Condvar::new(),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(UNPOISONED)
    }

    /// The next connection; `None` when the stand-in is being dropped.
    pub fn accept(&self) -> Option<TcpStream> {
        loop {
            let failure = match self.listener.accept() {
                Ok((stream, _)) => return Some(stream),
                Err(failure) => failure,
            };
            let state = self.lock();
            // What a listener that was shut down says.
            if !state.refusing && failure.kind() != io::ErrorKind::InvalidInput {
                return None;
            }
            let state = self
                .stopped
                .wait_while(state, |state| state.refusing && !state.stopping)
                .expect(UNPOISONED);
            if state.stopping {
                return None;
            }
        }
    }

    /// Ends every connection and refuses new ones, as if the program had ended.
    pub fn refuse(&self) {
        let mut state = self.lock();
        state.refusing = true;
        for stream in state.streams.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // The port stays taken, so that nobody else gets it.
        let _ = SockRef::from(&self.listener).shutdown(Shutdown::Both);
    }

    pub fn listen(&self) -> io::Result<()> {
        SockRef::from(&self.listener).listen(BACKLOG)?;
        self.lock().refusing = false;
        self.stopped.notify_all();
        Ok(())
    }

    /// Registers a connection; `None` when the stand-in is being dropped.
    pub fn connected(self: &Arc<Self>, stream: &TcpStream) -> Option<Registered> {
        let mut state = self.lock();
        if state.stopping {
            return None;
        }
        state.stats.connections += 1;
        let id = state.stats.connections;
        // A connection that can't be cloned is one its handler can't serve either.
        if let Ok(stream) = stream.try_clone() {
            state.streams.insert(id, stream);
        }
        self.changed.notify_all();
        Some(Registered {
            id,
            shared: Arc::clone(self),
        })
    }

    /// Counts a request, which is in flight until the guard is dropped.
    pub fn arrived(&self) -> InFlight<'_> {
        self.note(|stats| {
            stats.requests += 1;
            stats.in_flight += 1;
            stats.max_in_flight = stats.max_in_flight.max(stats.in_flight);
        });
        InFlight(self)
    }

    pub fn note(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut self.lock().stats);
        self.changed.notify_all();
    }

    /// The reply that a request gets whatever it says; called when its first byte has come.
    pub fn planned(&self) -> Option<Reply> {
        let mut state = self.lock();
        state.begun += 1;
        let begun = state.begun;
        if !state.config.replies.is_empty() {
            return Arc::make_mut(&mut state.config).replies.pop_front();
        }
        let mut faults = state.config.faults.iter();
        let (fault, _) = faults.find(|(_, each)| begun.is_multiple_of(*each))?;
        Some(Reply::Fault(*fault))
    }

    /// The configuration for this request, and its reply: the one that was planned, or the script's.
    pub fn script(&self, request: &Request, planned: Option<Reply>) -> (Arc<Config>, Reply) {
        let mut state = self.lock();
        if state.config.record {
            state.requests.push(request.clone());
        }
        let config = Arc::clone(&state.config);
        drop(state);
        let scripted = || config.script.as_ref()?(request);
        let reply = planned.or_else(scripted).unwrap_or(Reply::Serve);
        (config, reply)
    }

    pub fn take_quota(
        &self,
        config: &Config,
        model: &'static Model,
        texts: u64,
        tokens: u64,
        now: Instant,
    ) -> Result<(), ApiError> {
        self.lock().quotas.take(config, model, texts, tokens, now)
    }

    /// Waits until the stats are as told; false when they were not in time.
    pub fn wait_until(&self, timeout: Duration, told: impl Fn(&Stats) -> bool) -> bool {
        let state = self.lock();
        let untold = |state: &mut State| !told(&state.stats);
        let (_state, wait) = self
            .changed
            .wait_timeout_while(state, timeout, untold)
            .expect(UNPOISONED);
        !wait.timed_out()
    }

    /// Ends every wait and every connection, now and from now on.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        for stream in state.streams.values() {
            // It fails when the client was faster, which is as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.stopped.notify_all();
    }

    /// Waits, but not beyond the end of the stand-in.
    pub fn pause(&self, duration: Duration) {
        if !duration.is_zero() {
            let state = self.lock();
            let wait = self
                .stopped
                .wait_timeout_while(state, duration, |state| !state.stopping);
            drop(wait.expect(UNPOISONED));
        }
    }
}

/// A connection that the end of the stand-in ends, as long as this lives.
pub struct Registered {
    pub id: u64,
    pub shared: Arc<Shared>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.lock().streams.remove(&self.id);
    }
}

pub struct InFlight<'a>(&'a Shared);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.note(|stats| stats.in_flight -= 1);
    }
}
