//! What only newer versions of PostgreSQL do, as docs/versions.md says.

use std::time::Duration;

use support::{Db, Finished, timed};

use crate::fixtures::{logs, right};

// Each transaction of a CALL is short, however long it waits in all.
#[test]
fn a_transaction_timeout_does_not_cover_the_whole_call() {
    let db = Db::fresh();
    let mut session = db.session();
    if session.number("SELECT current_setting('server_version_num')::int8") < 170_000 {
        return;
    }
    db.set("concurrency", "1");
    logs(&mut session, 60);
    db.api
        .set(|config| config.latency = Duration::from_millis(1200));
    let mut session = db.session();
    session.run("SET transaction_timeout = '5s'");
    let (finished, time) = timed(|| session.embed_all("'logs', 10").unwrap());
    assert_eq!(finished, Finished::done(60, 0));
    assert!(time > Duration::from_secs(5), "it proves nothing");
    assert_eq!(right(&mut session, "logs"), 60);
}
