//! Moments of a `CALL` at which it can be caught: known by what others can see of it, never by the clock, and drawn from a seed.

use std::time::Duration;

use google_standin::Stats;
use support::{Db, Process, Session, wait_until};

/// A lock that holds whoever writes in the midst of his transaction.
const GATE: i64 = 7;

#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// So many requests have been sent; none, where the run has only begun.
    Sent(u64),
    /// So many answers are on their way.
    Answered(u64),
    /// After so many answers vectors are written and not yet committed.
    Writing(u64),
}

impl Moment {
    /// Any up to the `last`th request.
    pub fn any(dice: &mut Dice, last: u64) -> Moment {
        let answers = 1 + dice.roll() % last;
        match dice.roll() % 3 {
            0 => Moment::Sent(answers - 1),
            1 => Moment::Answered(answers),
            _ => Moment::Writing(answers),
        }
    }

    /// How many requests it takes to come here.
    pub fn requests(self) -> u64 {
        let (Moment::Sent(requests) | Moment::Answered(requests) | Moment::Writing(requests)) =
            self;
        requests
    }

    /// To be shut before the CALL. Where it is about writing, whoever has filled as many rows waits, in the transaction that did
    /// it, until the session that is given back ends.
    pub fn gate(self, db: &Db, batch: u64) -> Option<Session> {
        let Moment::Writing(answers) = self else {
            return None;
        };
        let rows = batch * answers;
        let mut gate = db.session();
        gate.run(&format!(
        "CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF (SELECT count(embedding) FROM logs) >= {rows} THEN PERFORM pg_advisory_xact_lock_shared({GATE}); END IF;
             RETURN NULL;
         END $$;
         CREATE OR REPLACE TRIGGER gate AFTER UPDATE OF embedding ON logs EXECUTE FUNCTION gate();
         SELECT pg_advisory_lock({GATE})"
    ));
        Some(gate)
    }

    /// Waits for it; `before` is what the API had seen when the CALL began.
    pub fn reach(self, db: &Db, batch: u64, before: Stats, backend: Process) {
        let limit = Duration::from_secs(30);
        let reached = match self {
            Moment::Sent(requests) => db
                .api
                .wait_until(limit, |stats| stats.requests >= before.requests + requests),
            Moment::Answered(answers) => db.api.wait_until(limit, |stats| {
                stats.texts_billed >= before.texts_billed + batch * answers
            }),
            Moment::Writing(_) => {
                let stands = format!(
                    "SELECT count(*) FROM pg_locks WHERE pid = {} AND locktype = 'advisory' AND NOT granted",
                    backend.pid()
                );
                let mut session = db.session();
                wait_until("it stands at the gate", || session.number(&stands) == 1);
                true
            }
        };
        assert!(reached, "{self:?} did not come: {:?}", db.api.stats());
    }
}

/// SplitMix64: the same numbers each time.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
