//! What others see of a CALL that mostly waits: how long it holds one snapshot, which is what keeps VACUUM from its work.

use std::{
    thread::{self, sleep},
    time::{Duration, Instant},
};

use support::{Process, Session};

const EVERY: Duration = Duration::from_millis(2);

#[derive(Default)]
pub struct Seen {
    /// The longest time in which it was seen with the same snapshot or transaction, in ms.
    pub oldest_ms: f64,
    /// How often it was seen with one, in percent of all looks.
    pub percent: f64,
}

/// `others` looks on while `session` works. It makes a transaction with each look, so that a snapshot that is held falls behind.
pub fn seen(
    session: &mut Session,
    others: &mut Session,
    work: impl FnOnce(&mut Session) + Send,
) -> Seen {
    let backend = Process::of(session).pid();
    let look = format!(
        "SELECT pg_current_xact_id()::text, coalesce(backend_xmin, backend_xid)::text
         FROM pg_stat_activity WHERE pid = {backend}"
    );
    let (mut looks, mut held) = (0, 0);
    let mut oldest = Duration::ZERO;
    let mut since: Option<(String, Instant)> = None;
    thread::scope(|scope| {
        let call = scope.spawn(|| work(session));
        while !call.is_finished() {
            let row = others.query_one(&look, &[]).expect("the backend is listed");
            let now = Instant::now();
            looks += 1;
            since = match (row.get::<_, Option<String>>(1), since.take()) {
                (None, _) => None,
                (Some(snapshot), Some((known, seen))) if snapshot == known => {
                    oldest = oldest.max(now - seen);
                    Some((known, seen))
                }
                (Some(snapshot), _) => Some((snapshot, now)),
            };
            held += u32::from(since.is_some());
            sleep(EVERY);
        }
        call.join().expect("the session does not panic");
    });
    Seen {
        oldest_ms: oldest.as_secs_f64() * 1e3,
        percent: f64::from(held) / f64::from(looks.max(1)) * 100.0,
    }
}
