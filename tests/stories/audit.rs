//! One line a run in the server's log: who sent texts of which column to whom, how many, and how it ended.

use std::collections::BTreeMap;

use google_standin::{Config, Fault, Reply};
use support::{Cluster, Db, Session, Trial, denied, refused};

use crate::fixtures::{filled, logs};
use crate::journal_readers::operator;

/// The fields of one line.
pub type Line = BTreeMap<String, String>;

/// Forty pending rows and a role by whose name its lines are found in the log.
pub struct Watched<'c> {
    pub db: Db<'c>,
    pub role: String,
    pub session: Session,
    seen: usize,
}

impl<'c> Watched<'c> {
    pub fn new(db: Db<'c>) -> Watched<'c> {
        logs(&mut db.session(), 40);
        let role = operator(&db);
        let session = db.session_as(&role);
        Watched {
            db,
            role,
            session,
            seen: 0,
        }
    }

    /// The lines since the last look.
    pub fn lines(&mut self) -> Vec<Line> {
        let log = self.db.log();
        let lines: Vec<Line> = log
            .lines()
            .filter_map(|line| line.split_once("LOG:  embedding_backfill: "))
            .map(|(_, fields)| fields)
            .filter(|fields| fields.contains(&format!(" role={} ", self.role)))
            .map(fields_of)
            .collect();
        let new = lines[self.seen..].to_vec();
        self.seen = lines.len();
        new
    }

    /// The one line since the last look has these fields, and those that each has.
    #[track_caller]
    pub fn logged(&mut self, fields: &[(&str, &str)]) -> Line {
        let lines = self.lines();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        let always = [
            ("role", self.role.as_str()),
            ("model", "gemini-embedding-2"),
            ("host", "127.0.0.1"),
        ];
        for (name, value) in always.iter().chain(fields) {
            let told = lines[0].get(*name).map(String::as_str);
            assert_eq!(told, Some(*value), "{name}: {lines:#?}");
        }
        lines[0].clone()
    }
}

fn fields_of(line: &str) -> Line {
    let fields = line
        .split(' ')
        .map(|field| field.split_once('=').expect("each is name=value"));
    fields
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

const COLUMN: [(&str, &str); 2] = [("relation", "public.logs"), ("column", "embedding")];

pub fn of_a_column<'f>(fields: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    COLUMN.iter().chain(fields).copied().collect()
}

#[test]
fn each_run_leaves_one() {
    let mut watched = Watched::new(Db::fresh());
    watched
        .session
        .embed_all("'logs', 5, max_rows => 10")
        .unwrap();
    let tokens = watched.db.api.stats().tokens.to_string();
    watched.logged(&of_a_column(&[
        ("function", "embed_all_missing"),
        ("texts", "10"),
        ("rows", "10"),
        ("tokens", &tokens),
        ("ended", "max_rows"),
    ]));
    assert_eq!(watched.session.embed("'logs', 10").unwrap(), 10);
    watched.logged(&of_a_column(&[
        ("function", "embed_missing"),
        ("texts", "10"),
        ("rows", "10"),
        ("ended", "done"),
    ]));
    watched.session.run("SELECT embed_verify('logs', 5)");
    watched.logged(&of_a_column(&[
        ("function", "embed_verify"),
        ("texts", "5"),
        ("rows", "0"),
    ]));
    watched
        .session
        .run("SELECT embed_query('logs', 'a question')");
    watched.logged(&of_a_column(&[("function", "embed_query"), ("texts", "1")]));
    watched.session.run("SELECT embed_texts(ARRAY['a', 'b'])");
    let line = watched.logged(&[("function", "embed_texts"), ("texts", "2")]);
    assert!(!line.contains_key("relation"));
    watched.session.run("SELECT embed_text('c')");
    watched.logged(&[("function", "embed_text")]);

    // Nothing is sent by these.
    watched
        .session
        .run("SELECT embed_text('c'); SELECT embed_plan('logs')");
    watched.session.run("SET embedding_backfill.model = 'none'");
    refused(watched.session.embed("'logs'"), "22023", "none", "");
    watched.session.run("RESET embedding_backfill.model");
    watched.session.embed_all("'logs', 20").unwrap();
    watched.logged(&of_a_column(&[("rows", "20"), ("ended", "done")]));
    watched.session.embed_all("'logs'").unwrap();
    watched.session.embed("'logs'").unwrap();
    assert_eq!(watched.lines(), []);
}

#[test]
fn so_does_one_that_fails() {
    let mut watched = Watched::new(Db::fresh());
    watched
        .session
        .run("SET embedding_backfill.concurrency = 1; SET embedding_backfill.max_attempts = 1");
    let refusal = Reply::Fault(Fault::Recorded("403_no_key"));
    watched
        .db
        .api
        .set(|config| config.replies = [Reply::Serve, refusal.clone()].into());
    refused(watched.session.embed_all("'logs', 10"), "28000", "403", "");
    let line = watched.logged(&of_a_column(&[("rows", "10"), ("ended", "failed")]));
    // What waited behind the refused request is told too: it was handed over.
    assert!(line["texts"].parse::<u32>().unwrap() >= 20, "{line:?}");

    let fails = |watched: &Watched| {
        let refusal = refusal.clone();
        watched
            .db
            .api
            .set(|config| config.replies = [refusal].into());
    };
    fails(&watched);
    refused(watched.session.embed("'logs', 10"), "28000", "403", "");
    watched.logged(&of_a_column(&[
        ("texts", "10"),
        ("rows", "0"),
        ("tokens", "0"),
        ("ended", "failed"),
    ]));
    fails(&watched);
    denied(
        watched.session.batch_execute("SELECT embed_text('a')"),
        "28000",
        "403",
    );
    watched.logged(&[("function", "embed_text"), ("ended", "failed")]);

    let daily = Reply::Fault(Fault::Recorded("429_free_tier_per_day"));
    watched.db.api.set(|config| config.replies = [daily].into());
    watched.session.embed_all("'logs', 10").unwrap();
    watched.logged(&of_a_column(&[("ended", "daily_quota")]));

    // What is rolled back was sent all the same.
    watched
        .session
        .run("BEGIN; SELECT embed_missing('logs', 3); ROLLBACK");
    watched.logged(&of_a_column(&[("texts", "3"), ("ended", "done")]));
    assert_eq!(filled(&mut watched.db.session(), "logs"), 10);
}

#[test]
fn a_name_can_not_forge_one() {
    let mut watched = Watched::new(Db::fresh());
    let name = "x\nLOG:  embedding_backfill: role=nobody \"y\" ended=done";
    let quoted = name.replace('"', "\"\"");
    watched.db.session().run(&format!(
        "ALTER TABLE logs RENAME TO \"{quoted}\"; ALTER TABLE \"{quoted}\" RENAME embedding TO \"rows=9 é\""
    ));
    let embed = "SELECT embed_missing($1::text::regclass)";
    let embedded: i64 = watched
        .session
        .query_one(embed, &[&format!("\"{quoted}\"")])
        .unwrap()
        .get(0);
    assert_eq!(embedded, 40);
    let log = watched.db.log();
    let role = format!(" role={} ", watched.role);
    let line = log
        .lines()
        .find(|line| line.contains(&role))
        .expect("there is a line");
    assert!(line.ends_with("ended=done"), "{line}");
    for value in [r#" column="rows=9 é" "#, r#"\nLOG:  "#, r#"\"y\""#] {
        assert!(line.contains(value), "{line}");
    }
    let forged = "LOG:  embedding_backfill: role=nobody";
    let all_ours = |line: &str| line.contains(&role) || !line.contains(forged);
    assert!(log.lines().all(all_ours));
    Trial {
        chapter: "Privileges",
        fault: "a table whose name would forge a line of the server's log",
        times: 1,
        seen: "all rows; the name is in quotes, on one line",
        lost: 0,
        doubled: 0,
    }
    .note();
}

#[test]
fn it_tells_for_whom_a_function_was_called() {
    let watched = Watched::new(Db::fresh());
    let (role, db) = (&watched.role, &watched.db);
    let guest = db.role("guest");
    db.session().run(&format!(
        "CREATE FUNCTION fill() RETURNS bigint SECURITY DEFINER RETURN embed_missing('logs', 3);
         ALTER FUNCTION fill() OWNER TO {role}"
    ));
    db.session_as(&guest).run("SELECT fill()");
    let told = format!("role={role} session_role={guest} relation=");
    assert!(db.log().contains(&told));
}

#[test]
fn it_tells_no_text_and_no_statement() {
    let cluster = Cluster::start(&[("log_min_error_statement", "log")], &[]);
    let mut watched = Watched::new(Db::on(&cluster, Config::default()));
    watched
        .session
        .embed_all("'logs', content => $$body || ' confidential'$$")
        .unwrap();
    watched.session.run("SELECT embed_text('confidential')");
    assert_eq!(watched.lines().len(), 2);
    let log = watched.db.log();
    for secret in ["confidential", "entry", "CONTEXT", &watched.db.key()] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
