//! The key appears nowhere: a key that can be recognised goes through every path, with the server at its most talkative, and all
//! that anybody could read afterwards is searched for it. Here the answer repeats it; `secrecy_failures` has the other ways.

use std::sync::Arc;

use google_standin::{Config, Reply};
use support::{Cluster, Db, Install, Session, Trial};

use crate::fixtures::{always, filled, logs, mended};

/// The part of the key that is looked for: a cut-off key is a leak too.
const SENTINEL: &str = "AQ.key-of-";

/// A server that logs all it can.
pub fn talkative() -> Cluster {
    let mut settings = vec![
        ("log_min_messages", "debug5"),
        ("log_min_error_statement", "debug5"),
        ("log_statement", "all"),
        ("log_duration", "on"),
        ("log_error_verbosity", "verbose"),
        ("log_parameter_max_length", "-1"),
        ("log_parameter_max_length_on_error", "-1"),
        ("log_parser_stats", "on"),
        ("log_planner_stats", "on"),
        ("log_executor_stats", "on"),
        ("log_connections", "on"),
        ("log_disconnections", "on"),
        ("log_line_prefix", "%m %a %u %d %r %i %c %v %x "),
        ("debug_print_plan", "on"),
        ("track_activity_query_size", "16384"),
    ];
    if Install::get().offers("pg_stat_statements") {
        settings.push(("shared_preload_libraries", "pg_stat_statements"));
        settings.push(("pg_stat_statements.track", "all"));
    }
    Cluster::start(&settings, &[])
}

/// What clients were told and could look at, gathered to be searched.
#[derive(Default)]
pub struct Told {
    seen: String,
    errors: String,
}

impl Told {
    pub fn add<T>(&mut self, result: Result<T, postgres::Error>) {
        if let Err(error) = result {
            self.errors += &format!("{error:?}\n");
        }
    }

    /// Whether an error had these words.
    pub fn says(&self, words: &str) -> bool {
        self.errors.contains(words)
    }

    /// What this session was told since the last look, and what it can see of others.
    pub fn look(&mut self, session: &mut Session) {
        self.seen += &session.notices().join("\n");
        self.seen +=
            &session.text("SELECT coalesce(string_agg(a::text, ''), '') FROM pg_stat_activity a");
        for view in ["runs", "progress", "rejects"] {
            self.seen += &session.text(&format!(
                "SELECT coalesce(string_agg(v::text, ''), '') FROM embedding_backfill.{view} v"
            ));
        }
    }

    /// Looks for the key there, and in all that the server keeps of it.
    pub fn has_no_key(self, cluster: &Cluster, db: &Db, session: &mut Session) {
        self.has_none_of(&[SENTINEL], cluster, db, session);
    }

    /// Looks for these words there, and in all that the server keeps of it.
    pub fn has_none_of(
        mut self,
        secrets: &[&str],
        cluster: &Cluster,
        db: &Db,
        session: &mut Session,
    ) {
        self.look(session);
        self.seen += &session.text("SELECT string_agg(s::text, '') FROM pg_settings s");
        if Install::get().offers("pg_stat_statements") {
            session.run("CREATE EXTENSION pg_stat_statements");
            self.seen += &session.text("SELECT string_agg(s::text, '') FROM pg_stat_statements s");
        }
        let log = cluster.log();
        assert!(
            log.contains("embed_all_missing")
                && log.contains("DEBUG")
                && log.contains("PARSER STATISTICS"),
            "the server is not talkative"
        );
        let mut dump = Install::get().client("pg_dump");
        dump.args(["--create", "--username", "postgres", "--host"])
            .arg(cluster.host())
            .arg(&db.name);
        let dump = dump.output().expect("pg_dump can be run");
        let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
        assert!(dump.contains("base_url"), "no dump: {dump}");
        for (place, text) in [
            ("the server's log", &log),
            ("an error", &self.errors),
            ("what a session can see", &self.seen),
            ("a dump", &dump),
        ] {
            if let Some(at) = secrets.iter().find_map(|secret| text.find(secret)) {
                let from = text.floor_char_boundary(at.saturating_sub(300));
                let to = text.ceil_char_boundary((at + 100).min(text.len()));
                panic!("a secret is in {place}: …{}…", &text[from..to]);
            }
        }
        // The search would find what is there.
        assert_ne!(cluster.files_with("entry 1"), [""; 0]);
        for secret in secrets {
            let files = cluster.files_with(secret);
            assert_eq!(files, [""; 0], "a secret is in the data directory");
        }
    }
}

/// A refusal that repeats the key it was given, at any place of the words that may be shown.
fn echo(status: u16, key: &str, offset: usize) -> Reply {
    let words = format!("{} {key} is not welcome", "x".repeat(offset));
    Reply::json(
        status,
        format!(
            r#"{{"error": {{"code": {status}, "message": "{words}", "status": "INVALID_ARGUMENT"}}}}"#
        ),
    )
}

/// The same to a reader of JSON, with one character of its second half spelled as a number.
fn spelled(key: &str) -> String {
    match key.split_at_checked(key.len() / 2 + 1) {
        Some((before, after)) if !after.is_empty() => {
            format!(r"{before}\u{:04x}{}", after.as_bytes()[0], &after[1..])
        }
        _ => key.to_owned(),
    }
}

/// Answers that have the key wherever an answer has room for words.
pub fn echoes(key: &str) -> Vec<Reply> {
    let raw = |head: String| Reply::Raw(head.into());
    let json = |status, body: &str| Reply::json(status, body.replace("KEY", key));
    let mut echoes = vec![
        Reply::html(200, format!("<html>{key}</html>")),
        Reply::html(502, format!("<html>{key}</html>")),
        json(200, r#"{"embeddings": "KEY"}"#),
        json(200, r#"{"KEY": 1}"#),
        json(200, r#"{"embeddings": [], "KEY": KEY}"#),
        json(200, r#"{"embeddings": [{"values": [KEY]}]}"#),
        json(200, r#"{"embeddings": [], "usageMetadata": "KEY"}"#),
        json(
            200,
            r#"{"embeddings": [], "usageMetadata": {"promptTokenCount": "KEY"}}"#,
        ),
        json(
            429,
            r#"{"error": {"message": "m", "details": [{"violations": [{"quotaId": "PerDay KEY", "quotaValue": "1"}]}]}}"#,
        ),
        json(
            429,
            r#"{"error": {"message": "KEY, limit: 0", "details": [{"violations": [{"quotaId": "KEY", "quotaValue": "0"}]}]}}"#,
        ),
        json(
            400,
            r#"{"error": {"message": "m", "status": "KEY", "details": [{"reason": "KEY", "@type": "KEY"}]}}"#,
        ),
        json(403, r#"{"error": {"message": "KEY", "code": "KEY"}}"#),
        // As JSON may spell it, in a form that is read and in one that is shown as it came.
        echo(403, &spelled(key), 0),
        json(403, &format!(r#"{{"problem": "{}"}}"#, spelled(key))),
        json(403, &format!(r#"{{"error": ["{}"]}}"#, spelled(key))),
        raw(format!("HTTP/1.1 200 {key}\r\nContent-Length: 1\r\n\r\n{{")),
        raw(format!("HTTP/1.1 {key} OK\r\n\r\n")),
        raw(format!("{key} 200 OK\r\n\r\n")),
        raw(format!("HTTP/1.1 200 OK\r\n{key}\r\n\r\n")),
        raw(format!(
            "HTTP/1.1 200 OK\r\n{key}: {key}\r\nContent-Length: {key}\r\n\r\n"
        )),
        raw(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: {key}\r\n\r\n{key}"
        )),
        raw(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{key}\r\n"
        )),
        raw(format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n{key}",
            key.len()
        )),
        raw(format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: {key}\r\nContent-Length: 1\r\n\r\n{{"
        )),
        raw(format!(
            "HTTP/1.1 401 No\r\nWWW-Authenticate: {key}\r\nContent-Length: 0\r\n\r\n"
        )),
    ];
    echoes.extend([301, 302, 303, 307, 308].map(|status| {
        raw(format!(
            "HTTP/1.1 {status} Moved\r\nLocation: http://127.0.0.1:1/?key={key}\r\nContent-Length: 0\r\n\r\n"
        ))
    }));
    // The key lies across wherever a long message is cut.
    echoes.extend((200..420).step_by(10).map(|offset| echo(403, key, offset)));
    echoes
}

#[test]
fn no_answer_brings_the_key_to_light() {
    let cluster = talkative();
    let db = Db::on(&cluster, Config::default());
    db.set("max_attempts", "1");
    let mut session = db.session();
    logs(&mut session, 40);
    session.run("SET client_min_messages = debug5");
    let mut told = Told::default();
    let key = db.key();
    let mut replies = vec![
        None,
        Some(Reply::recorded("400_api_key_invalid")),
        Some(Reply::Close),
    ];
    replies.extend(echoes(&key).into_iter().map(Some));
    let tried = replies.len() as u64;
    for (place, reply) in replies.into_iter().enumerate() {
        let requests = db.api.stats().requests;
        match reply {
            Some(reply) => always(&db, reply),
            None => mended(&db),
        }
        // Each way to send in turn; two are enough to see each answer by a batch and by a run or a question.
        told.add(session.embed("'logs', 5"));
        told.add(match place % 3 {
            0 => session
                .embed_all("'logs', 5, source_filter => 'id < 30'")
                .map(drop),
            1 => session.batch_execute("SELECT embed_query('logs', 'a question')"),
            _ => session.batch_execute("SELECT embed_texts('{one, another}')"),
        });
        assert!(db.api.stats().requests >= requests + 2, "nothing was sent");
        told.look(&mut session);
        if place == 0 {
            assert!(
                filled(&mut session, "logs") > 0,
                "no request with the key got through"
            );
            session.run("UPDATE logs SET embedding = NULL; DELETE FROM embedding_backfill.journal");
        }
    }
    // Rows that are rejected for it keep the reason, and what a run waits for is told while it waits.
    let spelled = spelled(&key);
    db.api.set(|config| {
        config.script = Some(Arc::new(move |request| {
            let refused = request.texts().iter().any(|text| text.contains("entry 7"));
            refused.then(|| echo(400, &spelled, 290))
        }));
    });
    session.embed("'logs', 20").unwrap();
    session.embed_all("'logs'").unwrap();
    assert_eq!(
        session.number("SELECT count(*) FROM embedding_backfill.rejects"),
        1
    );
    told.has_no_key(&cluster, &db, &mut session);
    Trial {
        chapter: "Secrets",
        fault: "an answer that repeats the key, in any part of its head and body, at DEBUG5",
        times: tried,
        seen: "*** in its place; not in log, messages, journal, statistics, dump or data directory",
        lost: 0,
        doubled: 0,
    }
    .note();
}
