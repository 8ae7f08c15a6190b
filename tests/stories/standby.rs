//! Where nothing can be written nothing is sent: a streaming standby, a read-only transaction.

use google_standin::Config;
use support::{Cluster, Db, Finished, Session, refused, wait_until};

use crate::fixtures::{filled, logs, right};

fn refuses(session: &mut Session, db: &Db) {
    refused(session.embed("'logs'"), "25006", "embed_missing", "");
    refused(
        session.embed_all("'logs'"),
        "25006",
        "embed_all_missing",
        "",
    );
    assert_eq!(db.api.stats().connections, 0);
}

#[test]
fn a_standby_refuses_until_it_is_promoted() {
    let primary = Cluster::start(&[], &[]);
    let db = Db::on(&primary, Config::default());
    logs(&mut db.session(), 100);
    let standby = primary.standby();
    let mut session = Session::connect(standby.config(&db.name, "postgres"));
    assert_eq!(session.number("SELECT count(*) FROM logs"), 100);

    refuses(&mut session, &db);
    session.run("SELECT pg_promote()");
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(100, 0));
    assert_eq!(right(&mut session, "logs"), 100);
    assert_eq!(filled(&mut db.session(), "logs"), 0);
}

// Would pass wrongly if the standby stood still: a row that comes after the vectors must reach it too.
#[test]
fn a_standby_gets_the_vectors() {
    let primary = Cluster::start(&[], &[]);
    let db = Db::on(&primary, Config::default());
    let mut session = db.session();
    logs(&mut session, 100);
    let standby = primary.standby();
    let mut reader = Session::connect(standby.config(&db.name, "postgres"));

    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(100, 0)
    );
    session.run("INSERT INTO logs VALUES (101, 'the last')");
    wait_until("the standby has replayed it all", || {
        reader.number("SELECT count(*) FROM logs") == 101
    });
    assert_eq!(right(&mut reader, "logs"), 100);
    assert_eq!(
        reader.text("SELECT state FROM embedding_backfill.runs"),
        "done"
    );
}

#[test]
fn a_read_only_transaction_refuses() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    session.run("SET default_transaction_read_only = on");
    refuses(&mut session, &db);
    session.run("RESET default_transaction_read_only");

    session.run("BEGIN READ ONLY");
    refused(session.embed("'logs'"), "25006", "embed_missing", "");
    session.run("ROLLBACK");
    assert_eq!(db.api.stats().connections, 0);
    assert_eq!(session.embed("'logs'").unwrap(), 50);
}
