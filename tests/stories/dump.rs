//! `pg_dump` and restore with the extension in use: another database goes on where the dumped one was.

use std::process::{Command, Stdio};

use serde_json::Value;
use support::{Cluster, Db, Finished, Install, Members, Session, wait_until};

use crate::{
    fixtures::{Gate, logs, right},
    in_use::{goes_on, history, in_use},
    upgrade::EXTENSION,
};

fn client(program: &str, database: &str) -> Command {
    let mut command = Install::get().client(program);
    command.arg("--host").arg(Cluster::shared().host());
    command.args(["--username", "postgres", "--dbname", database]);
    command
}

/// A copy of the database, which goes with it.
struct Copy<'d> {
    db: &'d Db<'static>,
    name: String,
}

impl<'d> Copy<'d> {
    /// By pg_dump with these options and pg_restore, which stops at the first error.
    #[track_caller]
    fn of(db: &'d Db<'static>, options: &[&str]) -> Copy<'d> {
        let name = format!("{}_copy", db.name);
        db.session().run(&format!("CREATE DATABASE {name}"));
        let mut dump = client("pg_dump", &db.name)
            .arg("--format=custom")
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let restored = client("pg_restore", &name)
            .arg("--exit-on-error")
            .stdin(dump.stdout.take().unwrap())
            .output()
            .unwrap();
        assert!(dump.wait().unwrap().success());
        assert!(restored.status.success(), "{restored:?}");

        // They are the database's, so the dump has them only with --create.
        let mut settings = db.session();
        for setting in ["base_url", "api_key_file"] {
            let value = settings.text(&format!("SELECT current_setting('{EXTENSION}.{setting}')"));
            settings.run(&format!(
                "ALTER DATABASE {name} SET {EXTENSION}.{setting} = '{value}'"
            ));
        }
        Copy { db, name }
    }

    fn session(&self) -> Session {
        self.db.session_in(&self.name)
    }
}

impl Drop for Copy<'_> {
    fn drop(&mut self) {
        let _ = self
            .db
            .session()
            .batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

#[test]
fn the_copy_goes_on_with_journal_trigger_and_grants() {
    let db = Db::fresh();
    let role = in_use(&db);
    let copy = Copy::of(&db, &[]);
    let mut there = copy.session();
    let mut embedder = Session::connect(Cluster::shared().config(&copy.name, &role));
    assert_eq!(history(&mut there), history(&mut db.session()));
    let differences =
        Members::of(&mut there, EXTENSION).differences(&Members::of(&mut db.session(), EXTENSION));
    assert_eq!(differences, Vec::<String>::new());
    goes_on(&db.api, &mut there, &mut embedder);
    assert_eq!(
        there.number("SELECT max(run) FROM embedding_backfill.runs"),
        4
    );
}

// A temporary table is in no dump, so a row that names it could not be restored.
#[test]
fn what_is_about_temporary_and_dropped_tables_is_left_out() {
    let db = Db::fresh();
    let mut session = db.session();
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    for table in ["TEMPORARY TABLE passing", "TABLE dropped", "TABLE stays"] {
        let name = table.rsplit(' ').next().unwrap();
        session.run(&format!(
            "CREATE {table} (body text, embedding vector(128)); INSERT INTO {name} VALUES ('a'), ('poison')"
        ));
        assert_eq!(
            session.embed_all(&format!("'{name}'")).unwrap(),
            Finished::done(1, 0)
        );
    }
    session.run("DROP TABLE dropped");
    assert_eq!(history(&mut session).len(), 6);
    let about: Vec<Value> = history(&mut Copy::of(&db, &[]).session())
        .iter()
        .map(|row| row["relation"].clone())
        .collect();
    assert_eq!(about, ["stays", "stays"]);
}

// As docs/upgrading.md says.
#[test]
fn a_dump_without_a_table_leaves_the_journal_out() {
    let db = Db::fresh();
    in_use(&db);
    let options = [
        "--exclude-table=logs",
        "--exclude-table-data=embedding_backfill.*",
    ];
    let copy = Copy::of(&db, &options);
    let mut there = copy.session();
    assert_eq!(history(&mut there), Vec::<Value>::new());
    logs(&mut there, 5);
    assert_eq!(there.embed_all("'logs'").unwrap(), Finished::done(5, 0));
}

#[test]
fn a_run_that_works_meanwhile_is_interrupted_in_the_copy() {
    let db = Db::fresh();
    db.set("concurrency", "1");
    let mut session = db.session();
    logs(&mut session, 30);
    let gate = Gate::after(&db, 1);
    let copy = std::thread::scope(|scope| {
        let call = scope.spawn(|| db.session().embed_all("'logs', 10"));
        wait_until("ten rows are written", || {
            session.number("SELECT count(embedding) FROM logs") == 10
        });
        let copy = Copy::of(&db, &[]);
        let running = "SELECT state FROM embedding_backfill.runs";
        assert_eq!(session.text(running), "running");
        assert_eq!(copy.session().text(running), "interrupted");
        gate.open();
        assert_eq!(call.join().unwrap().unwrap(), Finished::done(30, 0));
        copy
    });
    let mut there = copy.session();
    assert_eq!(right(&mut there, "logs"), 10);
    assert_eq!(there.embed_all("'logs'").unwrap(), Finished::done(20, 0));
    assert_eq!(right(&mut there, "logs"), 30);
}

// As docs/upgrading.md says: the journal is not everybody's, so neither is a whole dump.
#[test]
fn a_role_that_dumps_needs_to_read_all_data() {
    let db = Db::fresh();
    in_use(&db);
    let role = db.role("backup");
    let mut session = db.session();
    session.run(&format!("GRANT SELECT ON logs TO {role}"));
    let dump = |options: &[&str]| {
        let output = client("pg_dump", &db.name)
            .args(["--username", &role])
            .args(options)
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let refused = dump(&[]);
    assert!(refused.contains("journal"), "{refused}");
    assert_eq!(dump(&["--exclude-table-data=embedding_backfill.*"]), "");
    session.run(&format!("GRANT pg_read_all_data TO {role}"));
    assert_eq!(dump(&[]), "");
}
