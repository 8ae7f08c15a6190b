//! What one schedule does, drawn from its seed alone: the table, the settings, what the API will do, and how each CALL ends.

use crate::moments::Dice;

use super::weather::{Fault, Silence};

/// How a CALL ends that the schedule does not leave to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Cancel,
    Terminate,
    Kill,
    Crash,
    StatementTimeout,
    Stop,
    MaxRows,
    MaxDuration,
    MaxTokens,
    /// The API says one of these from some moment on, and it is the CALL that has to end.
    DailyQuota,
    BadKey,
    Overloaded,
    NoAnswer,
}

pub const ENDS: [End; 13] = [
    End::Cancel,
    End::Terminate,
    End::Kill,
    End::Crash,
    End::StatementTimeout,
    End::Stop,
    End::MaxRows,
    End::MaxDuration,
    End::MaxTokens,
    End::DailyQuota,
    End::BadKey,
    End::Overloaded,
    End::NoAnswer,
];

impl End {
    /// Somebody else ends it, at the moment that the step says.
    pub fn is_from_outside(self) -> bool {
        matches!(
            self,
            End::Cancel | End::Terminate | End::Kill | End::Crash | End::Stop
        )
    }

    /// What is in flight is not waited for.
    pub fn loses_answers(self) -> bool {
        matches!(
            self,
            End::Cancel | End::Terminate | End::Kill | End::Crash | End::StatementTimeout
        )
    }

    /// For the table of what was tried; nothing for what the other chapters have.
    pub fn in_words(self) -> Option<&'static str> {
        match self {
            End::Cancel => Some("pg_cancel_backend among faults and writers"),
            End::Terminate => Some("pg_terminate_backend among faults and writers"),
            End::Kill => Some("kill -9 of the backend among faults and writers"),
            End::Crash => Some("crash of the server among faults and writers"),
            End::StatementTimeout => Some("statement_timeout among faults and writers"),
            End::Stop => Some("embed_stop among faults and writers"),
            _ => None,
        }
    }
}

/// A CALL and its end.
#[derive(Clone, Debug)]
pub struct Step {
    pub end: End,
    pub batch: u64,
    /// After so many answers with vectors the API falls silent, so that the CALL can't be done before its end. Without a
    /// number it never does.
    pub answers: Option<u64>,
    pub silence: Silence,
    /// The CALL stands still in the transaction that writes this row, counted from its first one.
    pub stands_at_row: Option<u64>,
    /// Rows or tokens, where the end is a limit.
    pub limit: u64,
}

#[derive(Debug)]
pub struct Plan {
    pub seed: u64,
    pub partitioned: bool,
    /// A trigger takes the vector of a content that changes, not the statement that changes it.
    pub kept_fresh: bool,
    /// Who change rows meanwhile.
    pub writers: u64,
    pub concurrency: u64,
    pub max_attempts: u32,
    pub faults: Vec<Fault>,
    pub steps: [Step; 3],
}

impl Plan {
    pub fn of(seed: u64) -> Plan {
        let mut dice = Dice::new(seed);
        // By turns, so that each comes up in a row of schedules: as the first end, as a fault, as what the API falls silent with.
        let turn = seed as usize;
        let interruptions = [End::Cancel, End::Terminate, End::Kill, End::Crash];
        let ends = [
            ENDS[turn % ENDS.len()],
            ENDS[below(&mut dice, ENDS.len() as u64) as usize],
            interruptions[turn % interruptions.len()],
        ];
        let silence =
            Silence::ALL[(turn / ENDS.len() * 4 + turn % ENDS.len()) % Silence::ALL.len()];
        let faults = (0..4).map(|n| Fault::ALL[(4 * turn + n) % Fault::ALL.len()]);
        Plan {
            seed,
            partitioned: below(&mut dice, 2) == 0,
            kept_fresh: below(&mut dice, 2) == 0,
            writers: below(&mut dice, 3),
            concurrency: 1 + below(&mut dice, 4),
            max_attempts: 2 + below(&mut dice, 2) as u32,
            faults: faults.collect(),
            steps: ends.map(|end| Step::of(end, silence, &mut dice)),
        }
    }

    /// How patient the session is that makes this CALL, or the last. Where nothing hangs and nothing is to be given up, a machine
    /// that stands still for a while must not look like an API that does.
    pub fn patience(&self, step: Option<&Step>) -> String {
        let ends_by_timeout = step
            .is_some_and(|step| matches!(step.end, End::Stop | End::MaxDuration | End::NoAnswer));
        let seconds = match self.faults.contains(&Fault::Hang) || ends_by_timeout {
            true => 4,
            false => 20,
        };
        let attempts = match step {
            // Refused again and again it would come to its own end first.
            Some(step) if step.silence == Silence::OVERLOADED && step.end != End::Overloaded => 8,
            _ => self.max_attempts,
        };
        format!(
            "SET embedding_backfill.request_timeout = '{seconds}s'; SET embedding_backfill.max_attempts = {attempts}"
        )
    }

    /// Texts of which a run has the answer or waits for it.
    pub fn read_ahead(&self, batch: u64) -> u64 {
        2 * self.concurrency * batch
    }

    /// Texts that were paid for and are not written where a CALL does not wait for its answers: those since its last commit, so
    /// at most all that it got.
    pub fn lost(&self) -> u64 {
        let ended = self.steps.iter().filter(|step| step.end.loses_answers());
        ended
            .map(|step| step.answers.unwrap_or_default() * step.batch)
            .sum()
    }

    /// Texts in a request.
    pub fn most_texts(&self) -> u64 {
        let batches = self.steps.iter().map(|step| step.batch);
        batches.fold(LAST_BATCH, u64::max)
    }

    /// How often a text may be sent, and perhaps billed, for an answer: each attempt but the last may fail after Google has had
    /// it, and a request that is halved begins anew with each half.
    pub fn most_sends(&self) -> u64 {
        let attempts = u64::from(self.max_attempts);
        let halvings = u64::from(self.most_texts().next_power_of_two().ilog2());
        attempts + (attempts - 1) * halvings
    }
}

/// Texts in a request of the last CALL.
pub const LAST_BATCH: u64 = 8;

impl Step {
    fn of(end: End, silence: Silence, dice: &mut Dice) -> Step {
        let answers = below(dice, 7);
        let batch = 1 + below(dice, 6);
        let stands = below(dice, 2) == 0
            && matches!(end, End::Cancel | End::Terminate | End::Kill | End::Crash);
        let row = 1 + below(dice, 2 * batch);
        Step {
            end,
            batch,
            answers: match end {
                End::MaxRows | End::MaxTokens => None,
                // Enough to come to that row.
                _ if stands => Some(answers + 4),
                _ => Some(answers),
            },
            silence: match end {
                End::DailyQuota => Silence::Recorded("429_free_tier_per_day"),
                End::BadKey => Silence::Recorded("400_api_key_invalid"),
                End::Overloaded => Silence::OVERLOADED,
                End::NoAnswer => Silence::Hang,
                _ => silence,
            },
            stands_at_row: stands.then_some(row),
            limit: match end {
                End::MaxTokens => 400 + below(dice, 800),
                _ => 5 + below(dice, 25),
            },
        }
    }

    /// The arguments of the CALL.
    pub fn arguments(&self) -> String {
        let limit = match self.end {
            End::MaxRows => format!(", max_rows => {}", self.limit),
            End::MaxTokens => format!(", max_tokens => {}", self.limit),
            End::MaxDuration => ", max_duration => '2200 ms'".to_owned(),
            _ => String::new(),
        };
        format!("'logs', {}, 'body'{limit}", self.batch)
    }
}

pub fn below(dice: &mut Dice, limit: u64) -> u64 {
    dice.roll() % limit
}
