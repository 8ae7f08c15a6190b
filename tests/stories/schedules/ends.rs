//! One CALL and its end: the moment is waited for, the end is brought about, and what the caller is told must be what this end
//! says and nothing else.

use std::thread;

use postgres::Error;
use support::{Cluster, Db, Finished, Process, Session, wait_until};

use super::{
    plan::{End, Plan, Step},
    table::{CALLER, GATE, holds, make_pending},
    weather::Weather,
    writers::Writing,
};

/// The CALL is caught in the midst of a transaction that writes.
pub const STANDS: &str = "caught while it writes";

/// Rows that are pending when a CALL begins: more than it can write before its end.
const PENDING: u64 = 80;

pub struct Scene<'a> {
    pub db: &'a Db<'a>,
    pub cluster: &'a Cluster,
    pub plan: &'a Plan,
    pub weather: &'a Weather,
    pub writing: &'a Writing,
}

impl Scene<'_> {
    /// A session that calls.
    pub fn caller(&self) -> Session {
        let mut caller = self.db.revived();
        // It ends by itself where it is not ended, so that a failed story does.
        caller.run(&format!(
            "SET application_name = '{CALLER}'; SET statement_timeout = '60s'"
        ));
        caller
    }

    /// Plays one step; gives the session where it has outlived it, and what it was told.
    pub fn play(&self, step: &Step, mut caller: Session) -> (Session, String) {
        let mut other = self.db.revived();
        make_pending(&mut other, PENDING);
        self.prepare(step, &mut caller, &mut other);
        let last = newest_run(&mut other);
        let gate = step.stands_at_row.map(|_| self.gate());
        let backend = Process::of(&mut caller);
        self.weather.will_fall_silent(step.answers, step.silence);

        let result = thread::scope(|scope| {
            let call = scope.spawn(|| caller.embed_all(&step.arguments()));
            if step.end.is_from_outside() {
                let goes_on = || assert!(!call.is_finished(), "the CALL was over before its end");
                wait_until("the run has begun", || {
                    goes_on();
                    newest_run(&mut other) > last
                });
                wait_until("the moment has come", || {
                    goes_on();
                    self.weather.silent() > 0 || gate.is_some() && stands(&mut other, backend)
                });
                if stands(&mut other, backend) {
                    self.weather.count(STANDS);
                }
                self.bring_about(step.end, &mut other, backend);
            }
            call.join().expect("the call does not panic")
        });
        drop(gate);
        self.weather.clears_up();
        let mut told = expected(step.end, step, result);
        if let End::Terminate = step.end {
            told = self.db.last_words(backend.pid());
        }

        let survives = !matches!(step.end, End::Terminate | End::Kill | End::Crash);
        if !survives {
            wait_until("the backend is gone", || !backend.lives());
            caller = self.caller();
        }
        caller.run("SET statement_timeout = '60s'; RESET story.stands_at");
        holds(&mut caller);
        if newest_run(&mut caller) > last {
            let state = caller.text(&format!("SELECT state {CALLS} ORDER BY run DESC LIMIT 1"));
            assert!(state_after(step.end).contains(&&*state), "{state}: {told}");
        } else {
            // The time was up while it waited for a call of embed_missing.
            assert_eq!(step.end, End::StatementTimeout);
        }
        (caller, told)
    }

    fn prepare(&self, step: &Step, caller: &mut Session, other: &mut Session) {
        caller.run(&self.plan.patience(Some(step)));
        if let End::StatementTimeout = step.end {
            caller.run("SET statement_timeout = '700ms'");
        }
        if let Some(row) = step.stands_at_row {
            let written = other.number("SELECT count(*) FROM ledger");
            caller.run(&format!("SET story.stands_at = {}", written + row as i64));
        }
    }

    fn gate(&self) -> Session {
        let mut gate = self.db.revived();
        gate.run(&format!("SELECT pg_advisory_lock({GATE})"));
        gate
    }

    fn bring_about(&self, end: End, other: &mut Session, backend: Process) {
        let pid = backend.pid();
        match end {
            End::Cancel => other.run(&format!("SELECT pg_cancel_backend({pid})")),
            End::Terminate => other.run(&format!("SELECT pg_terminate_backend({pid})")),
            End::Kill => backend.kill(),
            End::Crash => {
                self.cluster.crash();
                self.cluster.recover();
            }
            End::Stop => other.run("SELECT embed_stop('logs')"),
            _ => unreachable!("{end:?} comes from inside"),
        }
    }
}

/// What the caller was told, checked to be what this end says.
fn expected(end: End, step: &Step, result: Result<Finished, Error>) -> String {
    let by_itself = match end {
        End::Stop => Some("stop_requested"),
        End::MaxRows => Some("max_rows"),
        End::MaxDuration => Some("max_duration"),
        End::MaxTokens => Some("max_tokens"),
        End::DailyQuota => Some("daily_quota"),
        _ => None,
    };
    if let (Some(reason), Ok(finished)) = (by_itself, &result) {
        assert_eq!(finished.stopped_because, reason, "{finished:?}");
        assert!(
            end != End::MaxRows || finished.embedded <= step.limit as i64,
            "{finished:?}"
        );
        return format!("stopped_because is {reason}");
    }
    let error = result.expect_err("this end is an error");
    let (code, message) = match error.as_db_error() {
        Some(error) => (error.code().code(), error.message()),
        None => ("", "the connection is lost"),
    };
    let codes: &[&str] = match end {
        End::Cancel | End::StatementTimeout => &["57014"],
        // The client reads on to the end of the connection, or not.
        End::Terminate => &["", "57P01"],
        End::Crash => &["", "57P01", "57P02"],
        End::Kill => &[""],
        End::BadKey => &["28000"],
        End::Overloaded => &["38000"],
        End::NoAnswer => &["58030"],
        // What may have been billed is not sent again under a limit of tokens: failures in a row end the run.
        End::MaxTokens => &["58030", "38000"],
        _ => &[],
    };
    assert!(codes.contains(&code), "{error:?}");
    match end {
        End::Terminate | End::Crash => "the connection is lost".to_owned(),
        _ => message.to_owned(),
    }
}

fn state_after(end: End) -> &'static [&'static str] {
    match end {
        End::Cancel | End::Terminate | End::Kill | End::Crash | End::StatementTimeout => {
            &["interrupted"]
        }
        End::Stop | End::MaxRows | End::MaxDuration | End::DailyQuota => &["done"],
        End::MaxTokens => &["done", "failed"],
        End::BadKey | End::Overloaded | End::NoAnswer => &["failed"],
    }
}

const CALLS: &str = "FROM embedding_backfill.runs WHERE function = 'embed_all_missing'";

fn newest_run(session: &mut Session) -> i64 {
    session.number(&format!("SELECT coalesce(max(run), 0) {CALLS}"))
}

fn stands(session: &mut Session, backend: Process) -> bool {
    let stands = format!(
        "SELECT count(*) FROM pg_locks WHERE pid = {} AND locktype = 'advisory' AND NOT granted",
        backend.pid()
    );
    session.number(&stands) > 0
}
