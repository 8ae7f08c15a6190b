//! What of a row is embedded: the default content, an expression, a filter, and that no character is lost on the way.

use support::{Db, Finished, Install, Session, Space, prompt};

use crate::fixtures::right;

/// The texts that were sent, without what the model is told around them.
fn sent(db: &Db) -> Vec<String> {
    let frame = prompt("");
    let texts = db
        .api
        .requests()
        .into_iter()
        .flat_map(|request| request.texts());
    let mut sent: Vec<String> = texts
        .map(|text| {
            text.strip_prefix(&frame)
                .expect("a document's prompt")
                .to_owned()
        })
        .collect();
    sent.sort();
    sent
}

fn one_column(kind: &str, value: &str) -> (Db<'static>, Session) {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(&format!("CREATE TABLE t (id int PRIMARY KEY, c {kind}, embedding vector(128)); INSERT INTO t VALUES (1, {value})"));
    assert_eq!(session.embed("'t'").unwrap(), 1);
    (db, session)
}

#[test]
fn the_only_text_like_column_is_sent_as_its_text() {
    for (kind, value, text) in [
        ("text", "'plain'", "plain"),
        ("varchar(20)", "'short'", "short"),
        ("char(8)", "'padded'", "padded"),
        ("json", r#"'{"b": 1,  "a": [2]}'"#, r#"{"b": 1,  "a": [2]}"#),
        ("jsonb", r#"'{"b": 1,  "a": [2]}'"#, r#"{"a": [2], "b": 1}"#),
    ] {
        let (db, mut session) = one_column(kind, value);
        assert_eq!(sent(&db), [text], "{kind}");
        assert_eq!(
            Space::GEMINI_2.holds(&mut session, "t", "c::text", "embedding"),
            1
        );
    }
}

#[test]
fn citext_is_text_too() {
    if !Install::get().offers("citext") {
        return;
    }
    let db = Db::fresh();
    let mut session = db.session();
    session.run("CREATE EXTENSION citext; CREATE TABLE t (id int, c citext, embedding vector(128)); INSERT INTO t VALUES (1, 'MiXed')");
    assert_eq!(session.embed("'t'").unwrap(), 1);
    assert_eq!(sent(&db), ["MiXed"]);
}

#[test]
fn several_text_columns_become_named_lines_without_keys() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        r#"CREATE TABLE authors (name text PRIMARY KEY);
           INSERT INTO authors VALUES ('ada');
           CREATE TABLE notes (slug text PRIMARY KEY, title varchar(80), pages int, author text REFERENCES authors,
                               "Body Text" text, meta jsonb, embedding vector(128));
           INSERT INTO notes VALUES ('all', 'Title', 3, 'ada', E'two\nlines', '{"k": 1}'),
                                    ('null', NULL, 3, 'ada', 'only a body', NULL),
                                    ('empty', '', 3, NULL, 'body again', '{}'),
                                    ('none', NULL, 3, 'ada', NULL, NULL)"#,
    );
    assert_eq!(session.embed("'notes'").unwrap(), 3);
    assert_eq!(
        sent(&db),
        [
            "Body Text: body again\nmeta: {}",
            "Body Text: only a body",
            "title: Title\nBody Text: two\nlines\nmeta: {\"k\": 1}"
        ]
    );

    let notices = session.notices();
    let told = |name: &str| notices.iter().any(|notice| notice.contains(name));
    assert!(
        told("title") && told("Body Text") && told("meta") && !told("slug") && !told("author"),
        "{notices:?}"
    );
    assert!(
        notices
            .iter()
            .any(|notice| notice.contains('1') && notice.contains("blank")),
        "{notices:?}"
    );
}

#[test]
fn content_is_an_expression_over_the_row() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        r#"CREATE TABLE notes (id int, title text, "Body" text, n int, embedding vector(128));
           INSERT INTO notes VALUES (1, 'one', 'first', 7), (2, 'two', 'second', NULL), (3, NULL, 'third', 9)"#,
    );
    let run = |session: &mut Session, content: &str| {
        session.run("UPDATE notes SET embedding = NULL");
        let embedded = session
            .embed(&format!("'notes', content => $c${content}$c$"))
            .unwrap();
        let checked = Space::GEMINI_2.holds(
            session,
            "notes",
            &format!("({content}\n)::text"),
            "embedding",
        );
        assert_eq!(checked as i64, embedded, "{content}");
        embedded
    };
    assert_eq!(run(&mut session, "title"), 2);
    assert_eq!(run(&mut session, r#""Body""#), 3);
    assert_eq!(run(&mut session, r#"title || ' by ' || "Body""#), 2);
    assert_eq!(
        run(
            &mut session,
            r#"concat_ws(E'\n', title, "Body") -- all of it"#
        ),
        3
    );
    assert_eq!(run(&mut session, "n"), 2);
    assert_eq!(run(&mut session, "(SELECT upper(title))"), 2);
    assert_eq!(
        run(&mut session, "CASE WHEN n > 8 THEN 'large ' || n END"),
        1
    );
}

#[test]
fn the_callers_search_path_resolves_the_expression() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE SCHEMA helpers;
         CREATE FUNCTION helpers.shout(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)';
         CREATE TABLE notes (id int, body text, embedding vector(128)); INSERT INTO notes VALUES (1, 'quiet');
         SET search_path = public, helpers",
    );
    assert_eq!(
        session
            .embed_all("'notes', content => 'shout(body)'")
            .unwrap(),
        Finished::done(1, 0)
    );
    assert_eq!(sent(&db), ["QUIET"]);
}

#[test]
fn source_filter_limits_the_rows() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE notes (id int, project_id int, body text, embedding vector(128));
         INSERT INTO notes SELECT i, i % 4, 'note ' || i FROM generate_series(1, 40) i",
    );
    let filled = "SELECT string_agg(DISTINCT project_id::text, ',' ORDER BY project_id::text) FROM notes WHERE embedding IS NOT NULL";

    assert_eq!(
        session
            .embed("'notes', 4, source_filter => 'project_id = 2'")
            .unwrap(),
        4
    );
    assert_eq!(session.text(filled), "2");
    // OR binds less than the AND that ours is joined with.
    let filter = "project_id = 2 OR project_id = 3";
    assert_eq!(
        session
            .embed_all(&format!("'notes', source_filter => '{filter}'"))
            .unwrap(),
        Finished::done(16, 0)
    );
    assert_eq!(session.text(filled), "2,3");
    assert_eq!(
        session
            .embed_all("'notes', source_filter => 'NULL'")
            .unwrap(),
        Finished::done(0, 0)
    );
    assert_eq!(session.embed_all("'notes'").unwrap(), Finished::done(20, 0));
    assert_eq!(right(&mut session, "notes"), 40);
}

#[test]
fn backslashes_may_mean_what_they_meant_long_ago() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        r"CREATE TABLE notes (id int PRIMARY KEY, title text, body text, embedding vector(128));
          INSERT INTO notes VALUES (1, 'a title', 'n\o capital'), (2, ' ', 'x'), (3, '', E' \t')",
    );
    session.run("SET standard_conforming_strings = off; SET escape_string_warning = off");
    assert_eq!(session.embed_all("'notes'").unwrap(), Finished::done(2, 0));
    let mut texts = sent(&db);
    texts.sort();
    assert_eq!(texts, ["body: x", "title: a title\nbody: n\\o capital"]);
}
