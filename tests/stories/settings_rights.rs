//! Where the key comes from and where it goes is the superuser's to say, whatever way an ordinary user tries: before the library is
//! loaded, when a setting of ours is a mere placeholder, and after.

use google_standin::{Config, Standin};
use support::{Db, Session, Trial, Vertex, denied, refused};

use crate::fixtures::{filled, logs};

/// Rows and a role that may embed them, which even owns the database.
fn operator(db: &Db) -> String {
    let role = db.role("operator");
    let mut owner = db.session();
    logs(&mut owner, 300);
    owner.run(&format!(
        "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role};
         GRANT SELECT, UPDATE ON logs TO {role};
         ALTER DATABASE {} OWNER TO {role}; CREATE SCHEMA {role} AUTHORIZATION {role}",
        db.name
    ));
    role
}

type Values = [(&'static str, String); 4];

/// Values that would send the key or the texts elsewhere, or show a file to the caller.
fn values(db: &Db, thief: &Standin) -> Values {
    let file = |name: &str| db.file(name, "a line of mine", 0o600).display().to_string();
    [
        ("base_url", thief.base_url()),
        ("proxy", thief.base_url()),
        ("api_key_file", file("own-key")),
        ("ca_file", file("own-authorities")),
    ]
}

/// The same at Vertex AI: another account, and places where the texts would go or be paid for.
fn vertex_values(db: &Db, thief: &Standin) -> Values {
    let file = |name: &str, content: &str| db.file(name, content, 0o600).display().to_string();
    [
        (
            "credentials_file",
            file("own-account", &thief.service_account()),
        ),
        (
            "access_token_file",
            file("own-token", &thief.access_token()),
        ),
        ("vertex_project", "a-project-of-mine".to_owned()),
        ("vertex_location", "elsewhere1".to_owned()),
    ]
}

/// All ways to say a setting, but for those of the client.
fn ways(db: &Db, role: &str, setting: &str, value: &str) -> [String; 11] {
    let (database, set) = (
        &db.name,
        format!("SET embedding_backfill.{setting} = '{value}'"),
    );
    let function = format!("CREATE FUNCTION {role}.f() RETURNS void LANGUAGE sql AS 'SELECT'");
    [
        set.clone(),
        format!("BEGIN; {}; COMMIT", set.replace("SET", "SET LOCAL")),
        format!("SELECT set_config('embedding_backfill.{setting}', '{value}', false)"),
        format!(
            "UPDATE pg_settings SET setting = '{value}' WHERE name = 'embedding_backfill.{setting}'"
        ),
        format!("ALTER ROLE {role} {set}"),
        format!("ALTER ROLE {role} IN DATABASE {database} {set}"),
        format!("ALTER ROLE ALL {set}"),
        format!("ALTER DATABASE {database} {set}"),
        format!("{function} {set}"),
        format!("{function}; ALTER FUNCTION {role}.f() {set}"),
        format!("ALTER SYSTEM {set}"),
    ]
}

/// One more row is embedded, by the API that the superuser named and with his key.
fn embeds(session: &mut Session, db: &Db, thief: &Standin) {
    let requests = db.api.stats().requests;
    assert_eq!(session.embed("'logs', 1").unwrap(), 1);
    assert_eq!(db.api.stats().requests, requests + 1);
    assert_eq!(thief.stats().connections, 0);
}

/// None of these can be set by whoever owns the database; gives how often it was tried, and what was said in the end.
fn can_not_be_set(db: &Db, thief: &Standin, values: Values) -> (u64, String) {
    let role = operator(db);
    let (mut tried, mut seen) = (0, String::new());
    for (setting, value) in values {
        for way in ways(db, &role, setting, &value) {
            println!("{way}");
            // Before the library is loaded it may even seem to work.
            let mut session = db.session_as(&role);
            let _ = session.batch_execute(&way);
            let _ = session.batch_execute(&format!("ROLLBACK; SELECT {role}.f()"));
            embeds(&mut session, db, thief);
            // Now it is loaded. The view has no such row for others.
            let after = session.batch_execute(&way);
            if way.starts_with("UPDATE") {
                after.unwrap();
            } else {
                denied(after, "42501", "");
            }
            let _ = session.batch_execute(&format!("ROLLBACK; DROP FUNCTION IF EXISTS {role}.f()"));
            embeds(&mut session, db, thief);
            tried += 2;
        }
        let options = format!("-c embedding_backfill.{setting}={value}");
        // Its value never counts, but it stood in front of the superuser's, which can't be had back in this session.
        let mut session = db.session_with_options(&role, &options);
        let requests = db.api.stats().requests;
        refused(session.embed("'logs', 1"), "42501", setting, "PGOPTIONS");
        assert_eq!(
            (db.api.stats().requests, thief.stats().connections),
            (requests, 0)
        );
        embeds(&mut db.session_with_options("postgres", ""), db, thief);
        let set = &ways(db, &role, setting, &value)[0];
        let error = denied(session.batch_execute(set), "42501", setting);
        seen = error.message().replace(setting, "…");
        tried += 1;
    }
    let kept = format!(
        "SELECT coalesce(string_agg(setconfig::text, ' '), '') FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = setrole
         WHERE rolname = '{role}' OR setconfig::text LIKE '%{}%'",
        thief.base_url()
    );
    assert_eq!(db.session().text(&kept), "");
    (tried, seen)
}

#[test]
fn an_ordinary_user_can_not_say_where_the_key_comes_from_or_goes() {
    let db = Db::fresh();
    let thief = Standin::start(Config::default());
    let (tried, seen) = can_not_be_set(&db, &thief, values(&db, &thief));
    Trial {
        chapter: "Privileges",
        fault: "base_url, proxy, api_key_file or ca_file set by an ordinary user: SET, set_config, pg_settings, ALTER ROLE, ALTER DATABASE as its owner, ALTER SYSTEM, a function's SET clause, PGOPTIONS",
        times: tried,
        seen: &seen.replace("…", "base_url"),
        lost: 0,
        doubled: 0,
    }
    .note();
}

#[test]
fn an_ordinary_user_can_not_say_which_account_pays_or_where_texts_go() {
    let db = Vertex::fresh();
    let thief = Standin::start(Config::default());
    let (tried, seen) = can_not_be_set(&db, &thief, vertex_values(&db, &thief));
    Trial {
        chapter: "Privileges",
        fault: "credentials_file, access_token_file, vertex_project or vertex_location set by an ordinary user, in all these ways",
        times: tried,
        seen: &seen.replace("…", "credentials_file"),
        lost: 0,
        doubled: 0,
    }
    .note();
}

#[test]
fn an_ordinary_user_can_not_read_them() {
    let db = Db::fresh();
    let role = operator(&db);
    let mut session = db.session_as(&role);
    // Which loads the library.
    session.run("SELECT FROM embed_plan('logs')");
    let settings = [
        "access_token_file",
        "api_key_file",
        "base_url",
        "ca_file",
        "credentials_file",
        "proxy",
        "vertex_location",
        "vertex_project",
    ];
    for setting in settings {
        for query in [
            format!("SHOW embedding_backfill.{setting}"),
            format!("SELECT current_setting('embedding_backfill.{setting}', true)"),
        ] {
            denied(session.query(&query, &[]), "42501", "examine");
        }
    }
    let settings = settings.join("|");
    let shown = format!(
        "SELECT coalesce(string_agg(name, ' ' ORDER BY name), '') FROM pg_settings
         WHERE name ~ '^embedding_backfill[.]({settings})$'"
    );
    assert_eq!(session.text(&shown), "");
    assert_eq!(filled(&mut session, "logs"), 0);
}
