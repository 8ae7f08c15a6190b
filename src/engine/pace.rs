//! The pace of a run: how many texts and tokens a minute may go out, smoothly, over all its workers.
//! A 429 teaches the limit. Also where workers wait, so that one call wakes and ends them all.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::gemini::error::{Metric, Quota};

/// Of a limit that a 429 taught. The rest is for what a late worker catches up on, a second in each
/// minute, and for networks that don't keep step.
const SHARE_OF_QUOTA: f64 = 0.97;

/// What a worker that woke late may catch up on.
const SLACK: Duration = Duration::from_secs(1);

/// Where a 429 does not say how long.
const DEFAULT_WAIT: Duration = Duration::from_secs(20);

pub struct Pace {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    texts: Flow,
    tokens: Flow,
    paused_until: Option<Instant>,
    stopped: bool,
    wait: Option<Wait>,
    /// Workers asleep, since when there is one, and how long there was one before.
    sleepers: u32,
    asleep_since: Option<Instant>,
    slept: Duration,
}

/// Why nothing goes out at the moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    pub reason: String,
    pub until: Instant,
}

/// Units that may pass a minute.
#[derive(Default)]
struct Flow {
    per_minute: Option<f64>,
    next: Option<Instant>,
}

impl State {
    /// Which limit it is that paces, for a person.
    fn pace(&self) -> String {
        let (flow, unit) = match self.texts.next > self.tokens.next {
            true => (&self.texts, "texts"),
            false => (&self.tokens, "tokens"),
        };
        format!(
            "pace of {:.0} {unit} a minute",
            flow.per_minute.unwrap_or_default()
        )
    }
}

impl Flow {
    fn limit(per_minute: u64) -> Flow {
        Flow {
            per_minute: (per_minute > 0).then_some(per_minute as f64),
            next: None,
        }
    }

    fn learn(&mut self, per_minute: u64) {
        let learned = per_minute as f64 * SHARE_OF_QUOTA;
        self.per_minute = Some(self.per_minute.map_or(learned, |known| known.min(learned)));
    }

    fn take(&mut self, units: u64, now: Instant) {
        if let Some(per_minute) = self.per_minute {
            let late = now.checked_sub(SLACK).unwrap_or(now);
            let from = self.next.map_or(now, |next| next.max(late));
            self.next = Some(from + Duration::from_secs_f64(units as f64 * 60.0 / per_minute));
        }
    }
}

impl Pace {
    /// Limits a minute; 0 is none, until a 429 teaches one.
    pub fn new(texts_per_minute: u64, tokens_per_minute: u64) -> Pace {
        Pace {
            state: Mutex::new(State {
                texts: Flow::limit(texts_per_minute),
                tokens: Flow::limit(tokens_per_minute),
                ..State::default()
            }),
            changed: Condvar::new(),
        }
    }

    /// Waits until `texts` texts with `tokens` tokens may go out; false when the run has stopped.
    pub fn acquire(&self, texts: usize, tokens: u64) -> bool {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return false;
            }
            let now = Instant::now();
            let ready = [state.paused_until, state.texts.next, state.tokens.next]
                .into_iter()
                .flatten()
                .max();
            match ready {
                Some(ready) if ready > now => {
                    if state.paused_until.is_none_or(|until| until < ready) {
                        state.wait = Some(Wait {
                            reason: state.pace(),
                            until: ready,
                        });
                    }
                    state = self.sleep(state, ready - now);
                }
                _ => {
                    state.texts.take(texts as u64, now);
                    state.tokens.take(tokens, now);
                    return true;
                }
            }
        }
    }

    /// Waits before another attempt; false when the run has stopped.
    pub fn back_off(&self, reason: &str, duration: Duration) -> bool {
        let until = Instant::now() + duration;
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.stopped || now >= until {
                return !state.stopped;
            }
            state.wait = Some(Wait {
                reason: reason.to_owned(),
                until,
            });
            state = self.sleep(state, until - now);
        }
    }

    /// A 429: nothing goes out before its time, and no more than its limit from then on.
    pub fn learn(&self, quota: &Quota) {
        let mut state = self.lock();
        if let Some(limit) = quota.limit {
            match quota.metric {
                Metric::Texts => state.texts.learn(limit),
                Metric::Tokens => state.tokens.learn(limit),
                Metric::Unknown => (),
            }
        }
        let until = Instant::now() + quota.retry_after.unwrap_or(DEFAULT_WAIT);
        if state.paused_until.is_none_or(|paused| paused < until) {
            state.paused_until = Some(until);
            let name = quota.id.as_deref().unwrap_or("of the project");
            state.wait = Some(Wait {
                reason: format!("quota {name}"),
                until,
            });
        }
        self.changed.notify_all();
    }

    /// Texts a minute, where a limit is set or known.
    pub fn texts_per_minute(&self) -> Option<f64> {
        self.lock().texts.per_minute
    }

    /// Wakes every worker; nothing goes out any more.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    pub fn stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Why workers wait now, if they do.
    pub fn wait(&self) -> Option<Wait> {
        self.lock()
            .wait
            .clone()
            .filter(|wait| wait.until > Instant::now())
    }

    /// Time in which at least one worker waited.
    pub fn waited(&self) -> Duration {
        let state = self.lock();
        state.slept
            + state
                .asleep_since
                .map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn sleep<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        most: Duration,
    ) -> MutexGuard<'a, State> {
        state.sleepers += 1;
        state.asleep_since.get_or_insert_with(Instant::now);
        let (mut state, _) = self
            .changed
            .wait_timeout(state, most)
            .unwrap_or_else(PoisonError::into_inner);
        state.sleepers -= 1;
        if state.sleepers == 0
            && let Some(since) = state.asleep_since.take()
        {
            state.slept += since.elapsed();
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_limit_nothing_waits() {
        let pace = Pace::new(0, 0);
        assert!((0..1000).all(|_| pace.acquire(100, 1_000_000)));
        assert_eq!(pace.waited(), Duration::ZERO);
    }

    #[test]
    fn texts_go_out_evenly() {
        let began = Instant::now();
        let mut flow = Flow::limit(6000);
        for second in 0..10 {
            flow.take(100, began + Duration::from_secs(second));
            assert_eq!(flow.next, Some(began + Duration::from_secs(second + 1)));
        }
    }

    #[test]
    fn time_that_nobody_used_is_lost_but_for_a_little() {
        let began = Instant::now();
        let mut flow = Flow::limit(6000);
        flow.take(100, began);
        flow.take(100, began + Duration::from_secs(100));
        assert_eq!(flow.next, Some(began + Duration::from_secs(100)));
    }

    #[test]
    fn a_limit_is_learned_and_never_raised() {
        let mut flow = Flow::limit(1000);
        flow.learn(3000);
        assert_eq!(flow.per_minute, Some(1000.0));
        flow.learn(100);
        assert_eq!(flow.per_minute, Some(97.0));
    }

    #[test]
    fn stopping_wakes_who_waits() {
        let pace = Pace::new(1, 0);
        assert!(pace.acquire(100, 0));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| pace.acquire(100, 0));
            let backing_off = scope.spawn(|| pace.back_off("test", Duration::from_secs(3600)));
            pace.stop();
            assert!(!waiting.join().unwrap());
            assert!(!backing_off.join().unwrap());
        });
    }
}
