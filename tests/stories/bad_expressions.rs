//! `content` and `source_filter` are SQL: what is not exactly one expression of the right type goes no further.

use support::{Db, denied};

use crate::bad_input::{Case, all_refused};
use crate::fixtures::logs;

#[test]
fn content_and_filter() {
    all_refused(
        "CREATE TABLE no_text (id int PRIMARY KEY, at date, embedding vector(128))",
        &[
            Case("'no_text'", "42703", "no_text", "content =>"),
            Case("'logs', content => 'body ||'", "42601", "content", ""),
            Case("'logs', content => ''", "42601", "content", ""),
            Case("'logs', content => '   '", "42601", "content", ""),
            Case("'logs', content => 'body, id'", "42601", "content", ""),
            Case(
                "'logs', content => 'body FROM logs; DELETE FROM logs; SELECT body'",
                "42601",
                "content",
                "",
            ),
            Case(
                "'logs', content => 'body) FROM logs --'",
                "42601",
                "content",
                "",
            ),
            Case(
                "'logs', content => 'body) || (body'",
                "42601",
                "content",
                "",
            ),
            Case("'logs', content => 'body /*'", "42601", "content", ""),
            Case("'logs', content => 'body AS x'", "42601", "content", ""),
            Case("'logs', content => '*'", "42601", "content", ""),
            Case(
                "'logs', source_filter => 'id >'",
                "42601",
                "source_filter",
                "",
            ),
            Case("'logs', source_filter => ''", "42601", "source_filter", ""),
            Case(
                "'logs', source_filter => 'true) OR (true'",
                "42601",
                "source_filter",
                "",
            ),
            Case(
                "'logs', source_filter => 'true; DROP TABLE logs'",
                "42601",
                "source_filter",
                "",
            ),
            Case(
                "'logs', source_filter => 'id'",
                "42804",
                "source_filter",
                "",
            ),
            Case(
                "'logs', source_filter => '''text'' || id'",
                "42804",
                "source_filter",
                "",
            ),
        ],
    );
}

#[test]
fn columns_that_do_not_exist_are_postgres_own_error() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    for arguments in [
        "'logs', content => 'boddy'",
        "'logs', content => 'logs.nope'",
        "'logs', source_filter => 'project = 1'",
    ] {
        denied(session.embed(arguments), "42703", "does not exist");
        denied(session.embed_all(arguments), "42703", "does not exist");
    }
    denied(
        session.embed("'logs', content => 'nosuch(body)'"),
        "42883",
        "nosuch",
    );
    denied(
        session.embed("'logs', source_filter => 'count(*) > 0'"),
        "42803",
        "aggregate",
    );
    assert_eq!(db.api.stats().requests, 0);
}

// What reads more than one row, gives more than one value, or means a parameter of ours can't be the content of a row.
#[test]
fn what_is_no_value_of_one_row() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    for (content, sqlstate) in [
        ("max(body)", "42803"),
        ("row_number() OVER ()", "42P20"),
        ("unnest(ARRAY[body, body])", "0A000"),
        ("$1", "42P02"),
    ] {
        println!("{content}");
        for argument in ["content", "source_filter"] {
            let arguments = format!("'logs', {argument} => '{content}'");
            for error in [
                session.embed(&arguments).err(),
                session.embed_all(&arguments).err(),
            ] {
                let error = error.unwrap_or_else(|| panic!("{arguments} is taken"));
                let code = error.code().expect("an error of the server").code();
                assert!([sqlstate, "42804"].contains(&code), "{error:?}");
            }
        }
    }
    assert_eq!(db.api.stats().requests, 0);
}
