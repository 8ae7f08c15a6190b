//! `ALTER EXTENSION embedding_backfill UPDATE`: from each release to this version, with the extension in use. The install scripts
//! of the releases are frozen in tests/fixtures.

use std::{fs, path::Path};

use google_standin::Config;
use support::{Cluster, Db, Members, Session, install_release};

use crate::in_use::{goes_on, grants, history, in_use};

const TESTS: &str = env!("CARGO_MANIFEST_DIR");
pub const EXTENSION: &str = "embedding_backfill";

/// What `CREATE EXTENSION` installs where it is not told.
pub fn this_version() -> String {
    let control = fs::read_to_string(format!("{TESTS}/../{EXTENSION}.control")).unwrap();
    let version = control
        .lines()
        .find_map(|line| line.strip_prefix("default_version = "));
    version
        .expect("it has a version")
        .trim_matches('\'')
        .to_owned()
}

/// The install script of this version.
pub fn this_script() -> String {
    fs::read_to_string(format!(
        "{TESTS}/../sql/{EXTENSION}--{}.sql",
        this_version()
    ))
    .unwrap()
}

/// Version and install script of each release.
fn releases() -> Vec<(String, String)> {
    let files = fs::read_dir(Path::new(TESTS).join("fixtures")).unwrap();
    let releases: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter_map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let version = name
                .strip_prefix(&format!("{EXTENSION}--"))?
                .strip_suffix(".sql")?;
            Some((version.to_owned(), fs::read_to_string(&path).unwrap()))
        })
        .collect();
    assert!(!releases.is_empty());
    releases
}

/// A database with this version of the extension, not in use yet.
pub fn installed(version: &str) -> Db<'static> {
    let db = Db::bare(Cluster::shared(), Config::default());
    db.session().run(&format!(
        "CREATE EXTENSION {EXTENSION} VERSION '{version}' CASCADE"
    ));
    db
}

pub fn update(session: &mut Session, version: &str) {
    session.run(&format!(
        "ALTER EXTENSION {EXTENSION} UPDATE TO '{version}'"
    ));
}

/// In use at one version and updated to another: nothing is lost, and the catalog is that of a fresh installation.
#[track_caller]
pub fn survives(from: &str, to: &str) {
    let db = installed(from);
    let role = in_use(&db);
    let (mut session, mut embedder) = (db.session(), db.session_as(&role));
    // The library of this version serves the SQL of the old one, since it is replaced before the SQL is.
    goes_on(&db.api, &mut session, &mut embedder);
    let before = history(&mut session);

    update(&mut session, to);
    let after = history(&mut session);
    assert_eq!(before.len(), after.len(), "a run or a rejected row is gone");
    for (before, after) in before.iter().zip(&after) {
        for (column, value) in before.as_object().unwrap() {
            assert_eq!(after.get(column), Some(value), "{column}");
        }
    }
    goes_on(&db.api, &mut session, &mut embedder);

    let fresh = installed(to);
    fresh.session().run(&grants(&role));
    let (updated, fresh) = (
        Members::of(&mut session, EXTENSION),
        Members::of(&mut fresh.session(), EXTENSION),
    );
    assert!(fresh.len() > 200, "{} facts are few", fresh.len());
    assert_eq!(updated.differences(&fresh), Vec::<String>::new());
}

#[test]
fn each_release_to_this_version() {
    for (version, script) in releases() {
        if version != this_version() {
            install_release(&version, &script);
        }
        survives(&version, &this_version());
    }
}

// Who has installed a release has that script's objects, whatever sql/ says today.
#[test]
fn the_script_of_a_release_is_not_changed() {
    for (version, script) in releases() {
        if version == this_version() {
            assert!(
                script == this_script(),
                "sql/ and tests/fixtures/ differ in version {version}. If that is released, a change is an update script and a \
                 new version; if not yet, type: make freeze"
            );
        }
    }
}

// Version 0.2.0 has an argument more there, and a procedure with other arguments is another one to PostgreSQL.
#[test]
fn what_was_made_of_embed_all_missing_stays() {
    let (version, script) = ("0.1.0", "embedding_backfill--0.1.0.sql");
    let script = fs::read_to_string(format!("{TESTS}/fixtures/{script}")).unwrap();
    install_release(version, &script);
    let db = installed(version);
    let [owner, first, second] = ["owner", "first", "second"].map(|name| db.role(name));
    let mut session = db.session();
    session.run(&format!(
        "GRANT CREATE ON SCHEMA public TO {owner}; ALTER PROCEDURE embed_all_missing OWNER TO {owner};
         SET ROLE {owner};
         GRANT EXECUTE ON PROCEDURE embed_all_missing TO {first} WITH GRANT OPTION;
         COMMENT ON PROCEDURE embed_all_missing IS 'ask us before';
         SET ROLE {first}; GRANT EXECUTE ON PROCEDURE embed_all_missing TO {second}; RESET ROLE"
    ));
    let kept = "SELECT concat_ws(' ', proowner::regrole, proacl, initprivs, obj_description(p.oid, 'pg_proc'))
                FROM pg_proc p JOIN pg_init_privs i ON i.objoid = p.oid WHERE p.oid = 'embed_all_missing'::regproc";
    let before = session.text(kept);
    assert!(before.contains(&format!("{second}=X/{first}")), "{before}");
    update(&mut session, &this_version());
    assert_eq!(session.text(kept), before);
    // And the role that it was granted to is known to depend on it.
    support::denied(
        session.batch_execute(&format!("DROP ROLE {second}")),
        "2BP01",
        "",
    );
    session.run(&format!("GRANT ALL ON SCHEMA public TO {second}"));
    support::denied(
        db.session_as(&second)
            .embed_all("'pg_class', mirror => 'a_collection'"),
        "42703",
        "pg_class",
    );
}

#[test]
fn scripts_that_psql_reads_say_what_to_type() {
    for file in fs::read_dir(format!("{TESTS}/../sql")).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        let script = fs::read_to_string(format!("{TESTS}/../sql/{file}")).unwrap();
        let statement = match file.matches("--").count() {
            1 => format!("CREATE EXTENSION {EXTENSION} CASCADE"),
            _ => {
                let to = file.trim_end_matches(".sql").rsplit("--").next().unwrap();
                format!("ALTER EXTENSION {EXTENSION} UPDATE TO '{to}'")
            }
        };
        let first = format!("\\echo Use \"{statement}\" to load this file. \\quit\n");
        assert!(script.starts_with(&first), "{file} begins with {first}");
    }
}
