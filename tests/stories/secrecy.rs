//! The key appears nowhere: a key that can be recognised goes through every path, with the server at its most talkative, and all
//! that anybody could read afterwards is searched for it.

use std::sync::Arc;

use google_standin::{Config, Reply};
use support::{Cluster, Db, Install};

use crate::fixtures::{always, filled, logs, mended};

/// The part of the key that is looked for: a cut-off key is a leak too.
const SENTINEL: &str = "AQ.key-of-";

fn talkative() -> Cluster {
    let mut settings = vec![
        ("log_min_messages", "debug5"),
        ("log_statement", "all"),
        ("log_min_duration_statement", "0"),
        ("log_error_verbosity", "verbose"),
        ("log_parameter_max_length_on_error", "-1"),
        ("debug_print_plan", "on"),
        ("track_activity_query_size", "16384"),
    ];
    if Install::get().offers("pg_stat_statements") {
        settings.push(("shared_preload_libraries", "pg_stat_statements"));
        settings.push(("pg_stat_statements.track", "all"));
    }
    Cluster::start(&settings, &[])
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

#[test]
fn the_key_is_nowhere() {
    let cluster = talkative();
    let db = Db::on(&cluster, Config::default());
    db.set("max_attempts", "2");
    let mut session = db.session();
    let statements = Install::get().offers("pg_stat_statements");
    if statements {
        session.run("CREATE EXTENSION pg_stat_statements");
    }
    logs(&mut session, 40);
    session.run("SET client_min_messages = debug5");

    let mut told = String::new();
    let key = db.key();
    let mut replies = vec![
        None,
        Some(Reply::recorded("400_api_key_invalid")),
        Some(Reply::recorded("500_internal")),
        Some(Reply::Close),
        Some(Reply::html(200, format!("<html>{key}</html>"))),
        Some(Reply::html(502, format!("<html>{key}</html>"))),
        Some(Reply::json(200, format!(r#"{{"embeddings": "{key}"}}"#))),
        Some(Reply::json(200, format!(r#"{{"{key}": 1}}"#))),
        Some(Reply::Raw(format!("HTTP/1.1 200 OK\r\n{key}\r\n\r\n").into())),
        Some(Reply::Raw(format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/?key={key}\r\nContent-Length: 0\r\n\r\n").into())),
    ];
    // As JSON may spell it.
    let spelled = key.replacen("AQ", "\\u0041Q", 1);
    replies.push(Some(echo(403, &spelled, 0)));
    // The key lies across wherever a long message is cut.
    replies.extend(
        (0..420)
            .step_by(7)
            .map(|offset| Some(echo(403, &key, offset))),
    );
    let mut got_through = false;
    for reply in replies {
        session.run("UPDATE logs SET embedding = NULL");
        let requests = db.api.stats().requests;
        match reply {
            Some(reply) => always(&db, reply),
            None => mended(&db),
        }
        for error in [
            session.embed("'logs', 5").err(),
            session
                .embed_all("'logs', 5, source_filter => 'id < 30'")
                .err(),
        ]
        .into_iter()
        .flatten()
        {
            told += &format!(
                "{:?}\n",
                error.as_db_error().expect("an error of the server")
            );
        }
        assert!(db.api.stats().requests >= requests + 2, "nothing was sent");
        got_through |= filled(&mut session, "logs") > 0;
        told +=
            &session.text("SELECT coalesce(string_agg(a::text, ''), '') FROM pg_stat_activity a");
        told += &session.notices().join("\n");
    }
    // Rows that are rejected for it keep the reason.
    session.run("UPDATE logs SET embedding = NULL");
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
    told += &session.notices().join("\n");
    // Not even one that isn't a key, or a path that holds one.
    db.file("two-words", &format!("{key} {key}"), 0o600);
    session.run(&format!(
        "SET embedding_backfill.api_key_file = '{}'",
        db.path("two-words").display()
    ));
    told += &format!("{:?}", session.embed("'logs'").unwrap_err());

    told += &session.text("SELECT string_agg(s::text, '') FROM pg_settings s");
    if statements {
        told += &session.text("SELECT string_agg(s::text, '') FROM pg_stat_statements s");
    }
    let kept = "SELECT c.oid::regclass::text FROM pg_class c WHERE relnamespace = 'embedding_backfill'::regnamespace AND relkind IN ('r', 'v', 'm')";
    for row in session.query(kept, &[]).unwrap() {
        let table: String = row.get(0);
        told += &session.text(&format!(
            "SELECT coalesce(string_agg(t::text, ''), '') FROM {table} t"
        ));
    }
    assert!(got_through, "no request with the key got through");
    let log = db.log();
    assert!(
        log.contains("embed_all_missing") && log.contains("DEBUG"),
        "the server is not talkative"
    );

    for (place, text) in [
        ("the server's log", &log),
        ("what a session can see", &told),
    ] {
        if let Some(at) = text.find(SENTINEL) {
            let from = text.floor_char_boundary(at.saturating_sub(300));
            let to = text.ceil_char_boundary((at + 100).min(text.len()));
            panic!("the key is in {place}: …{}…", &text[from..to]);
        }
    }
}
