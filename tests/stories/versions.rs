//! What only newer versions of PostgreSQL do, as docs/versions.md says.

use std::{fs, time::Duration};

use google_standin::Config;
use support::{Cluster, Db, Finished, Install, Process, timed, wait_until};

use crate::{
    fixtures::{logs, right},
    upgrade::{this_script, this_version},
};

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

// As docs/versions.md says: without a right to write where the server is installed.
#[test]
fn an_extension_control_path() {
    let cluster = Cluster::start(&[], &[]);
    let db = Db::bare(&cluster, Config::default());
    let mut session = db.session();
    if session.number("SELECT current_setting('server_version_num')::int8") < 180_000 {
        return;
    }
    let ours = cluster.host().join("ours");
    let theirs = Install::get();
    fs::create_dir_all(ours.join("extension")).unwrap();
    let library = "embedding_backfill.so";
    fs::copy(theirs.library_file(library), ours.join(library)).unwrap();
    // A version that the server's own directory has not.
    let control = fs::read_to_string(theirs.extension_file("embedding_backfill.control")).unwrap();
    let control = control.replace(&this_version(), "ours");
    fs::write(ours.join("extension/embedding_backfill.control"), control).unwrap();
    fs::write(
        ours.join("extension/embedding_backfill--ours.sql"),
        this_script(),
    )
    .unwrap();

    let ours = ours.to_str().unwrap();
    session.run(&format!(
        "ALTER SYSTEM SET extension_control_path = '{ours}:$system'"
    ));
    session.run(&format!(
        "ALTER SYSTEM SET dynamic_library_path = '{ours}:$libdir'"
    ));
    session.run("SELECT pg_reload_conf()");
    wait_until("new sessions have the path", || {
        db.session()
            .text("SHOW dynamic_library_path")
            .contains(ours)
    });

    let mut session = db.session();
    session.run("CREATE EXTENSION embedding_backfill CASCADE");
    logs(&mut session, 10);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(10, 0));
    assert_eq!(
        session.text("SELECT extversion FROM pg_extension WHERE extname = 'embedding_backfill'"),
        "ours"
    );
    let maps = format!("/proc/{}/maps", Process::of(&mut session).pid());
    assert!(
        fs::read_to_string(maps)
            .unwrap()
            .contains(&format!("{ours}/{library}"))
    );
}

#[test]
fn a_setting_before_the_library_is_loaded() {
    let cluster = Cluster::start(&[], &[]);
    let db = Db::bare(&cluster, Config::default());
    let mut session = db.session();
    let known = session.number("SELECT current_setting('server_version_num')::int8") >= 170_000;
    let set = "ALTER SYSTEM SET embedding_backfill.model = 'gemini-embedding-001'";
    assert_eq!(session.batch_execute(set).is_ok(), known);
    session.run("LOAD 'embedding_backfill'");
    session.run(set);
}
