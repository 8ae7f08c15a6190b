//! Texts of every kind and size reach the API as they are in the table.

use support::{Db, refused};

use crate::fixtures::right;

#[test]
fn no_character_is_lost_on_the_way() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run("CREATE TABLE t (id serial, body text, embedding vector(128))");
    for text in [
        "quotes \" ' ` and \\ back\\\\slashes \\u0041 \\n",
        "line\nfeed, carriage\r\nreturn, tab\t, bell \u{7}, escape \u{1b}, delete \u{7f}",
        "naïve café, Ελληνικά, עברית, 日本語, 👩‍👩‍👧 and 𝒳",
        "\u{feff}marks \u{2028} and \u{2029} \u{200b} \u{fffd} \u{10ffff}",
        "</script>&amp;<b> %s %n $1 :name {} ${x}",
        "  spaces around  ",
    ] {
        session
            .execute("INSERT INTO t (body) VALUES ($1)", &[&text])
            .unwrap();
    }
    assert_eq!(session.embed("'t'").unwrap(), 6);
    assert_eq!(right(&mut session, "t"), 6);
}

#[test]
fn a_row_of_megabytes_is_sent_whole() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE t (id serial, body text, embedding vector(128));
         INSERT INTO t (body) SELECT i || repeat(md5(i::text) || ' ', 100000) FROM generate_series(1, 2) i",
    );
    assert_eq!(session.embed("'t'").unwrap(), 2);
    assert_eq!(right(&mut session, "t"), 2);
}

// Google refuses a body above 20 MiB; 30 rows of 1 MiB in one batch are well above it together.
#[test]
fn a_batch_larger_than_a_request_may_be_is_split_by_size() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE t (id serial, body text, embedding vector(128));
         INSERT INTO t (body) SELECT i || repeat('x', 1048576) FROM generate_series(1, 30) i",
    );
    assert_eq!(session.embed("'t', 30").unwrap(), 30);
    assert_eq!(right(&mut session, "t"), 30);
    assert!(db.api.stats().requests >= 2);
}

#[test]
fn a_database_in_another_encoding_is_refused() {
    let db = Db::fresh();
    let latin = format!("{}_latin", db.name);
    db.session().run(&format!(
        "CREATE DATABASE {latin} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
    ));
    let mut session = db.session_in(&latin);
    session.run(
        "CREATE EXTENSION embedding_backfill CASCADE;
         CREATE TABLE t (\"größe\" text, embedding vector(128)); INSERT INTO t VALUES ('naïve café')",
    );
    refused(session.embed("'t'"), "0A000", "LATIN1", "UTF8");
    refused(session.embed_all("'t'"), "0A000", "LATIN1", "UTF8");
}
