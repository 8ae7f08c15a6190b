//! What a run tells the person who started it.

use std::time::Duration;

use google_standin::Config;
use support::{Db, Finished};

use crate::fixtures::logs;

#[test]
fn progress_is_reported() {
    let db = Db::with(Config {
        latency: Duration::from_millis(20),
        ..Config::default()
    });
    db.set("concurrency", "1");
    let mut session = db.session();
    logs(&mut session, 40);
    session.embed_all("'logs', 10").unwrap();

    let reports: Vec<String> = session
        .notices()
        .into_iter()
        .filter(|notice| notice.contains("/40 rows ("))
        .collect();
    assert!((2..=4).contains(&reports.len()), "{reports:#?}");
    for report in &reports {
        assert!(
            ["%", "rows/s", "ETA"]
                .iter()
                .all(|part| report.contains(part)),
            "{report}"
        );
    }
    assert!(
        reports.last().unwrap().contains("40/40 rows (100.0%)"),
        "{reports:#?}"
    );
}

#[test]
fn psql_shows_the_results() {
    let db = Db::fresh();
    logs(&mut db.session(), 30);
    let said = db.psql(&["-c", "CALL embed_all_missing('logs', 10)"]);
    assert!(said.ok, "{said:?}");
    let rows: Vec<&str> = said.stdout.lines().map(str::trim).collect();
    assert_eq!(rows[0], "embedded | remaining | stopped_because");
    assert_eq!(rows[2], "30 |         0 | done");
    assert!(said.stderr.contains("NOTICE:  "), "{said:?}");
    assert!(
        !said.stderr.contains("CONTEXT:"),
        "each notice drags its context along: {}",
        said.stderr
    );
}

#[test]
fn it_is_quiet_where_only_warnings_are_wanted() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 60);
    session.run("UPDATE logs SET body = NULL WHERE id > 50; SET client_min_messages = warning");
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(50, 0)
    );
    assert_eq!(session.notices(), Vec::<String>::new());
}
