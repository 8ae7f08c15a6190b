//! What a run tells the person who started it.

use std::time::Duration;

use google_standin::Config;
use support::{Db, Finished};

use crate::fixtures::logs;

#[test]
fn progress_is_reported() {
    let db = Db::with(Config {
        latency: Duration::from_millis(450),
        ..Config::default()
    });
    db.set("concurrency", "1");
    let mut session = db.session();
    logs(&mut session, 100);
    session.embed_all("'logs', 10").unwrap();

    let notices = session.notices();
    let [start, reports @ .., end] = notices.as_slice() else {
        panic!("{notices:#?}")
    };
    assert!(start.starts_with("NOTICE: logs.embedding: 100 rows to embed, about "));
    // At most every three seconds, and the run takes longer than that.
    assert!((1..=3).contains(&reports.len()), "{notices:#?}");
    for report in reports {
        assert!(
            ["/100 rows (", "%), ", " rows/s, ETA "]
                .iter()
                .all(|part| report.contains(part)),
            "{report}"
        );
    }
    assert!(
        end.starts_with("NOTICE: logs: 100 rows embedded in ") && end.ends_with(": done"),
        "{end}"
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

/// What psql says of a CALL, each line of it fit for a window.
fn fits(db: &Db, call: &str) -> String {
    let said = db.psql(&["-c", call]);
    assert!(said.ok, "{said:?}");
    for line in said.stderr.lines() {
        assert!(
            line.chars().count() <= 100,
            "{} characters: {line}",
            line.chars().count()
        );
    }
    said.stderr
}

#[test]
fn every_line_fits_a_psql_window() {
    let db = Db::fresh();
    db.session().run(
        "CREATE TABLE memory_logs (id bigserial PRIMARY KEY, task text, agent text, date date, raw_data jsonb,
                                   embedding vector(768));
         INSERT INTO memory_logs (task, agent, raw_data)
             SELECT 'task ' || i, 'agent-01', jsonb_build_object('n', i) FROM generate_series(1, 487) i;
         INSERT INTO memory_logs (task) SELECT NULL FROM generate_series(1, 12)",
    );
    // Twice its quota, so that it waits once.
    db.api.set(|config| {
        config.texts_per_minute = Some(400);
        config.minute = Duration::from_secs(3);
    });
    let said = fits(&db, "CALL embed_all_missing('memory_logs')");
    for part in [
        "487 rows to embed",
        "12 rows",
        "waiting",
        "487 rows embedded",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    fits(&db, "CALL embed_all_missing('memory_logs')");
    fits(&db, "SELECT embed_missing('memory_logs')");
}

#[test]
fn a_wait_says_why_and_how_long() {
    let db = Db::with(Config {
        texts_per_minute: Some(30),
        minute: Duration::from_secs(3),
        ..Config::default()
    });
    let mut session = db.session();
    logs(&mut session, 100);
    let finished = session
        .embed_all("'logs', 10, max_duration => '5 s'")
        .unwrap();
    assert_eq!(finished.stopped_because, "max_duration");
    let notices = session.notices();
    let quota = "EmbedContentRequestsPerMinute";
    assert!(
        notices
            .iter()
            .any(|notice| notice.starts_with("NOTICE: waiting ") && notice.contains(quota)),
        "{notices:#?}"
    );
    let end = notices.last().unwrap();
    assert!(end.ends_with(": max_duration"), "{end}");
}
