//! Who may send rows to Chroma, which rows, and who says where to.

use support::{Db, Session, denied};

use crate::{
    fixtures::logs,
    mirror::{embedded, mirrors_logs, store_of},
};

const CALL: &str = "'logs', 'logs'";

/// A role that may select from `logs` and no more.
fn reader(db: &Db) -> String {
    let role = db.role("reader");
    db.session().run(&format!("GRANT SELECT ON logs TO {role}"));
    role
}

#[test]
fn public_may_not_call() {
    let (db, store, mut session) = embedded(3);
    let role = reader(&db);
    let mut caller = db.session_as(&role);
    for call in [
        "CALL mirror_to_chroma('logs', 'logs')",
        "SELECT embedding_backfill.mirror_begin('logs', 'logs', NULL, NULL, NULL, NULL, NULL, 500, NULL)",
    ] {
        denied(caller.query(call, &[]), "42501", "permission denied for");
    }
    assert_eq!(store.collections(), [""; 0]);
    // SELECT is enough for who may call.
    session.run(&format!(
        "GRANT EXECUTE ON PROCEDURE mirror_to_chroma TO {role}"
    ));
    assert_eq!(caller.mirror(CALL).unwrap(), (3, 0));
    assert_eq!(mirrors_logs(&mut session, &store), 3);
}

#[test]
fn what_may_not_be_read_is_not_sent() {
    let (db, store, mut session) = embedded(3);
    let role = db.role("narrow");
    session.run(&format!(
        "ALTER TABLE logs ADD COLUMN secret text DEFAULT 's';
         GRANT EXECUTE ON PROCEDURE mirror_to_chroma TO {role};
         GRANT SELECT (ctid, xmin, id, body, embedding) ON logs TO {role}"
    ));
    let mut caller = db.session_as(&role);
    for more in [
        "content => 'secret'",
        "content => 'body', metadata => '{secret}'",
        "content => 'body', key => 'secret || id'",
        "content => 'body', source_filter => 'secret IS NOT NULL'",
    ] {
        let call = format!("{CALL}, {more}");
        denied(
            caller.mirror(&call),
            "42501",
            "permission denied for table logs",
        );
    }
    assert_eq!(store.collections(), [""; 0]);
    assert_eq!(
        caller
            .mirror(&format!("{CALL}, content => 'body'"))
            .unwrap(),
        (3, 0)
    );
    assert_eq!(mirrors_logs(&mut session, &store), 3);
}

// The collection is what the caller sees of the table.
#[test]
fn row_security() {
    let (db, store, mut session) = embedded(20);
    let role = reader(&db);
    session.run(&format!(
        "GRANT EXECUTE ON PROCEDURE mirror_to_chroma TO {role};
         ALTER TABLE logs ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON logs USING (id % 2 = 0)"
    ));
    let mut caller = db.session_as(&role);
    assert_eq!(caller.mirror("'logs', 'seen'").unwrap(), (10, 0));
    let ids = store.ids("seen");
    assert!(ids.len() == 10 && ids.iter().all(|id| id.parse::<u32>().unwrap() % 2 == 0));
    assert_eq!(session.mirror(CALL).unwrap(), (20, 0));
    assert_eq!(mirrors_logs(&mut session, &store), 20);
}

// It sends contents to another place than the backfill does, which is a right of its own.
#[test]
fn the_argument_mirror_needs_the_grant_too() {
    let db = Db::fresh();
    let store = store_of(&db, support::Chroma::shared());
    let mut session = db.session();
    logs(&mut session, 20);
    let role = db.role("operator");
    session.run(&format!(
        "GRANT EXECUTE ON PROCEDURE embed_all_missing TO {role}; GRANT SELECT, UPDATE ON logs TO {role}"
    ));
    let mut caller = db.session_as(&role);
    denied(
        caller.embed_all("'logs', mirror => 'logs'"),
        "42501",
        "mirror_to_chroma",
    );
    assert_eq!((db.api.stats().requests, store.collections().len()), (0, 0));
    session.run(&format!(
        "GRANT EXECUTE ON PROCEDURE mirror_to_chroma TO {role}"
    ));
    caller.embed_all("'logs', mirror => 'logs'").unwrap();
    assert_eq!(mirrors_logs(&mut session, &store), 20);
}

/// All ways by which an ordinary user might say a setting.
fn ways(db: &Db, role: &str, setting: &str, value: &str) -> [String; 5] {
    let set = format!("SET embedding_backfill.{setting} = '{value}'");
    [
        set.clone(),
        format!("SELECT set_config('embedding_backfill.{setting}', '{value}', false)"),
        format!("ALTER ROLE {role} {set}"),
        format!("ALTER DATABASE {} {set}", db.name),
        format!("ALTER SYSTEM {set}"),
    ]
}

fn sees_its_own_chroma(caller: &mut Session, store: &support::Store) {
    assert_eq!(caller.mirror(CALL).unwrap(), (3, 0));
    assert_eq!(store.count("logs"), 3);
    store.drop("logs");
}

#[test]
fn an_ordinary_user_can_not_say_where_it_goes() {
    let (db, store, mut session) = embedded(3);
    let thief = google_standin::Standin::start(google_standin::Config::default());
    let role = reader(&db);
    session.run(&format!(
        "GRANT EXECUTE ON PROCEDURE mirror_to_chroma TO {role};
         ALTER DATABASE {} OWNER TO {role}",
        db.name
    ));
    let file = db
        .file("own-token", "a line of mine", 0o600)
        .display()
        .to_string();
    let url = thief.base_url();
    for (setting, value) in [
        ("chroma_url", url.trim_end_matches("/v1beta")),
        ("chroma_token_file", &file),
        ("chroma_tenant", "another"),
        ("chroma_database", "another"),
    ] {
        for way in ways(&db, &role, setting, value) {
            println!("{way}");
            // Before the library is loaded it may even seem to work.
            let mut caller = db.session_as(&role);
            let _ = caller.batch_execute(&way);
            sees_its_own_chroma(&mut caller, &store);
            denied(caller.batch_execute(&way), "42501", "");
            sees_its_own_chroma(&mut caller, &store);
        }
        let options = format!("-c embedding_backfill.{setting}={value}");
        let mut caller = db.session_with_options(&role, &options);
        support::refused(caller.mirror(CALL), "42501", setting, "PGOPTIONS");
        // Nor is it his to read.
        let mut caller = db.session_as(&role);
        caller.run("SELECT FROM embed_plan('logs')");
        let shown = format!("SHOW embedding_backfill.{setting}");
        denied(caller.query(&shown, &[]), "42501", "examine");
    }
    assert_eq!(thief.stats().connections, 0);
}
