//! The extension in use: a table with vectors, a rejected row, a trigger that keeps it fresh, two runs and a role that may run it;
//! and whether all of this is as good as before after an update, in a restored database or on an upgraded server.

use google_standin::Standin;
use serde_json::Value;
use support::{Db, Finished, Session};

use crate::fixtures::{logs, right};

/// Sixty rows, one of them rejected; gives the name of a role that may run it.
pub fn in_use(db: &Db) -> String {
    let mut session = db.session();
    logs(&mut session, 60);
    let role = db.role("embedder");
    session.run(&format!(
        "UPDATE logs SET body = 'poison' WHERE id = 7;
         SELECT embed_keep_fresh('logs', 'body');
         GRANT SELECT, UPDATE (embedding) ON logs TO {role};
         {}",
        grants(&role)
    ));
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    assert_eq!(session.embed("'logs', 20, content => 'body'").unwrap(), 20);
    assert_eq!(
        db.session_as(&role)
            .embed_all("'logs', 10, content => 'body'")
            .unwrap(),
        Finished::done(39, 0)
    );
    role
}

/// What README grants.
pub fn grants(role: &str) -> String {
    format!(
        "GRANT EXECUTE ON FUNCTION embed_missing, embed_verify, embed_query TO {role};
         GRANT EXECUTE ON PROCEDURE embed_all_missing TO {role};"
    )
}

/// All that the journal shows to this session.
pub fn history(session: &mut Session) -> Vec<Value> {
    let rows = session.query(
        "SELECT to_jsonb(r)::text FROM embedding_backfill.runs AS r
         UNION ALL SELECT to_jsonb(r)::text FROM embedding_backfill.rejects AS r ORDER BY 1",
        &[],
    );
    let rows = rows.unwrap_or_else(|error| panic!("{error:?}"));
    rows.iter()
        .map(|row| serde_json::from_str(row.get(0)).expect("it is JSON"))
        .collect()
}

/// Each call that users make does what it did: the trigger takes three vectors, which are all that is sent for again.
#[track_caller]
pub fn goes_on(api: &Standin, session: &mut Session, role: &mut Session) {
    assert_eq!(right(session, "logs"), 59);
    let texts = api.stats().texts;
    session.run("UPDATE logs SET body = body || ' and more' WHERE id IN (3, 4, 5)");
    let plan =
        "SELECT rows_pending * 100 + rows_rejected FROM embed_plan('logs', content => 'body')";
    assert_eq!(session.number(plan), 301);
    assert_eq!(role.embed("'logs', 1, content => 'body'").unwrap(), 1);
    assert_eq!(
        role.embed_all("'logs', content => 'body'").unwrap(),
        Finished::done(2, 0)
    );
    assert_eq!(right(session, "logs"), 59);
    assert_eq!(
        api.stats().texts,
        texts + 3,
        "neither the rejected row nor a proof of the model is sent"
    );

    let wrong = "SELECT coalesce(string_agg(detail, ', '), '') FROM embed_verify('logs', content => 'body') WHERE NOT ok";
    assert_eq!(role.text(wrong), "");
    let asked = "SELECT vector_dims(embed_query('logs', 'a'))::bigint";
    assert_eq!(role.number(asked), 128);
    let alone =
        "SELECT vector_dims(embed_text('a'))::bigint * 10 + cardinality(embed_texts('{a,b}'))";
    assert_eq!(session.number(alone), 7682);

    assert!(
        !session
            .query_one("SELECT embed_stop('logs')", &[])
            .unwrap()
            .get::<_, bool>(0)
    );
    assert_eq!(
        session.number("SELECT count(*) FROM embedding_backfill.progress"),
        0
    );
    session.run("BEGIN");
    assert_eq!(session.number("SELECT embed_retry_rejected('logs')"), 1);
    session
        .run("SELECT embed_keep_fresh_off('logs'); UPDATE logs SET body = 'changed' WHERE id = 3");
    assert_eq!(session.number("SELECT count(embedding) FROM logs"), 59);
    session.run("ROLLBACK");
}
