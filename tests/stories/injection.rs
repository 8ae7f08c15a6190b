//! Text that looks like SQL: in each argument, in each setting, and as the name of everything that has one. What is an expression
//! must be one and no more; the rest is data.

use support::{Db, Finished, Session, Space, Trial, denied};

use crate::fixtures::logs;

/// Each tries to end the place where it stands and to begin a statement, a row or a comment of its own.
const PAYLOADS: [&str; 18] = [
    "body FROM logs; DELETE FROM victim; SELECT body",
    "true; DELETE FROM victim; SELECT true",
    "'; DROP TABLE victim; --",
    "\"; DROP TABLE victim; --",
    "x'); DROP TABLE victim; --",
    "x\"); DROP TABLE victim; --",
    "body); DROP TABLE victim; --",
    "body) FROM logs; DELETE FROM victim; SELECT (body",
    "body FROM logs UNION SELECT note FROM victim",
    "body\n); COMMIT; DROP TABLE victim; --",
    "body /* ",
    "\\'; DROP TABLE victim; --",
    "$$; DROP TABLE victim; $$ $q$",
    "E'\\'; DROP TABLE victim; --",
    "%s %I %L %1$s $1 {} :x &x; DROP",
    "*/ body",
    "', (SELECT string_agg(note, '') FROM victim), '",
    "' || (SELECT string_agg(note, '') FROM victim) || '",
];

/// The victim is as it was, and its secret was sent to nobody.
#[track_caller]
fn unharmed(db: &Db, session: &mut Session) {
    assert_eq!(
        session.text("SELECT string_agg(note, ',') FROM victim"),
        "top secret,classified"
    );
    let leaked = |text: &String| text.contains("secret") || text.contains("classified");
    for request in db.api.requests() {
        assert!(!request.texts().iter().any(leaked), "{:?}", request.texts());
    }
}

fn victim(db: &Db) -> Session {
    let mut session = db.session();
    logs(&mut session, 3);
    session.run(
        "CREATE TABLE victim (note text); INSERT INTO victim VALUES ('top secret'), ('classified')",
    );
    session
}

#[test]
fn an_expression_is_one_and_no_more() {
    let db = Db::fresh();
    let mut session = victim(&db);
    let (mut tried, mut seen) = (0, String::new());
    // The last three happen to be an operator, or a literal from their first quote to their last.
    for payload in &PAYLOADS[..15] {
        for argument in ["content", "source_filter"] {
            for call in [
                format!("SELECT FROM embed_plan('logs', {argument} => $1)"),
                format!("SELECT embed_missing('logs', {argument} => $1)"),
                format!("CALL embed_all_missing('logs', {argument} => $1)"),
                "SELECT FROM embed_verify('logs', content => $1)".to_owned(),
            ] {
                println!("{call}: {payload}");
                let error = denied(session.query(&call, &[payload]), "42601", "");
                unharmed(&db, &mut session);
                seen = error.message().to_owned();
                tried += 1;
            }
        }
    }
    assert_eq!(db.api.stats().requests, 0);
    Trial {
        chapter: "Privileges",
        fault: "SQL that does not end where it should, in content and source_filter",
        times: tried,
        seen: &seen,
        lost: 0,
        doubled: 0,
    }
    .note();
}

#[test]
fn names_and_texts_are_data() {
    let db = Db::fresh();
    let mut session = victim(&db);
    let (mut tried, mut seen) = (0, String::new());
    for payload in PAYLOADS {
        let name: String = payload.chars().take(60).collect();
        for (call, sqlstate) in [
            ("SELECT embed_missing('logs', model => $1)", "22023"),
            (
                "SELECT embed_missing('logs', embedding_column => $1::text::name)",
                "42703",
            ),
            (
                "SELECT FROM embed_plan('logs', embedding_column => $1::text::name)",
                "42703",
            ),
            ("SELECT embed_query('logs', 'x', $1::text::name)", "42703"),
            ("SELECT embed_query('logs', 'x', model => $1)", "22023"),
            ("SELECT embed_text('x', task_type => $1)", "22023"),
            ("SELECT embed_texts('{x}', model => $1)", "22023"),
            ("SELECT FROM embed_verify('logs', model => $1)", "22023"),
            ("SELECT embed_keep_fresh('logs', $1::text::name)", "42703"),
            ("SELECT embed_missing(quote_ident($1)::regclass)", "42P01"),
        ] {
            println!("{call}: {payload}");
            let error = denied(session.query(call, &[&payload]), sqlstate, &name);
            unharmed(&db, &mut session);
            if seen.is_empty() {
                seen = error.message().to_owned();
            }
            tried += 1;
        }
        for setting in ["model", "task_type"] {
            session
                .execute(
                    &format!("SELECT set_config('embedding_backfill.{setting}', $1, false)"),
                    &[&payload],
                )
                .unwrap();
            denied(session.embed("'logs'"), "22023", &name);
            session.run(&format!("RESET embedding_backfill.{setting}"));
            unharmed(&db, &mut session);
            tried += 1;
        }
        // What is embedded arrives as it is.
        let requests = db.api.requests().len();
        for call in [
            "SELECT embed_query('logs', $1) IS NULL",
            "SELECT embed_text($1, 'RETRIEVAL_DOCUMENT') IS NULL",
            "SELECT embed_texts(ARRAY[$1], dimensions => 256) IS NULL",
        ] {
            session.query(call, &[&payload]).unwrap();
            unharmed_but_for(&db, requests, payload);
            tried += 1;
        }
    }
    Trial {
        chapter: "Privileges",
        fault: "SQL in names, models, task types, settings, questions and texts",
        times: tried,
        seen: &seen,
        lost: 0,
        doubled: 0,
    }
    .note();
}

/// All that was sent since then has the text in it, letter for letter.
#[track_caller]
fn unharmed_but_for(db: &Db, since: usize, text: &str) {
    for request in &db.api.requests()[since..] {
        let texts = request.texts();
        assert!(texts.iter().all(|sent| sent.ends_with(text)), "{texts:?}");
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[test]
fn everything_that_has_a_name_may_have_any() {
    let db = Db::fresh();
    let mut session = victim(&db);
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    let mut tried = 0;
    for payload in PAYLOADS {
        // As long as a name may be.
        let bare: String = payload.chars().take(60).collect();
        let name = |kind: &str| quoted(&format!("{kind}{bare}"));
        let (schema, table, key, embedding) = (name("s"), name("t"), name("k"), name("e"));
        let relation = format!("{schema}.{table}");
        session.run(&format!(
            "CREATE SCHEMA {schema};
             CREATE TABLE {relation} ({key} text, {b} text, {c} text, {embedding} vector(128), PRIMARY KEY ({key})) PARTITION BY LIST ({key});
             CREATE TABLE {schema}.{p} PARTITION OF {relation} FOR VALUES IN ('1', '2', {value});
             CREATE TABLE {schema}.{d} PARTITION OF {relation} DEFAULT;
             INSERT INTO {relation} SELECT i, 'entry ' || i, 'c' FROM generate_series(1, 5) i;
             INSERT INTO {relation} VALUES ({value}, 'poison', 'c')",
            b = name("b"),
            c = name("c"),
            p = name("p"),
            d = name("d"),
            value = format_args!("$value${bare}$value$"),
        ));
        let oid = session.number(&format!(
            "SELECT c.oid::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
             WHERE nspname = $name$s{bare}$name$ AND relname = $name$t{bare}$name$"
        ));
        println!("{relation}");
        session
            .query(&format!("SELECT FROM embed_plan({oid})"), &[])
            .unwrap();
        assert_eq!(session.embed(&format!("{oid}, 2")).unwrap(), 2);
        assert_eq!(
            session.embed_all(&format!("{oid}")).unwrap(),
            Finished::done(3, 0)
        );
        let content = format!(
            "$c$b{bare}: $c$ || {} || E'\\n' || $c$c{bare}: $c$ || {}",
            name("b"),
            name("c")
        );
        assert_eq!(
            Space::GEMINI_2.holds(&mut session, &relation, &content, &embedding),
            5
        );
        for call in [
            "SELECT FROM embed_verify(?)",
            "SELECT embed_query(?, 'a question') IS NULL",
            "SELECT embed_stop(?)",
            "SELECT embed_keep_fresh(?, $$b…$$::name, $$c…$$::name)",
        ] {
            let call = call.replace('?', &oid.to_string());
            let call = call
                .replace("$$b…$$", &format!("$b$b{bare}$b$"))
                .replace("$$c…$$", &format!("$b$c{bare}$b$"));
            session.query(&call, &[]).unwrap();
        }
        session.run(&format!(
            "UPDATE {relation} SET {} = 'changed' WHERE {key} = '1'",
            name("b")
        ));
        assert_eq!(
            session.number(&format!("SELECT count({embedding}) FROM {relation}")),
            4
        );
        let rejected = session.text(&format!(
            "SELECT key ->> $key$k{bare}$key$ FROM embedding_backfill.rejects WHERE relation::oid = {oid}"
        ));
        assert_eq!(rejected, bare);
        session.run(&format!("SELECT embed_retry_rejected({oid}); SELECT embed_keep_fresh_off({oid}); DROP SCHEMA {schema} CASCADE"));
        unharmed(&db, &mut session);
        tried += 1;
    }
    Trial {
        chapter: "Privileges",
        fault: "SQL as the name of a schema, table, partition, key, column and trigger, and as a key's value",
        times: tried,
        seen: "right vectors, nothing else touched",
        lost: 0,
        doubled: 0,
    }
    .note();
}
