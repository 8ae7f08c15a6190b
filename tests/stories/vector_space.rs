//! A column has one vector space: vectors of another model or content are noticed before more are added, for one small request,
//! and only where the journal does not know the column.

use google_standin::Reply;
use support::{Db, Finished, Session, Space, refused};

use crate::fixtures::{filled, logs, right};

/// Fills the first rows of `logs` from outside, each with the vector that `space` has for its content.
fn filled_elsewhere(session: &mut Session, rows: i64, space: &Space) {
    for id in 1..=rows {
        let body = session.text(&format!("SELECT body FROM logs WHERE id = {id}"));
        let vector = pgvector::Vector::from(space.vector(&body, 128));
        session
            .execute(
                "UPDATE logs SET embedding = $1 WHERE id = $2",
                &[&vector, &id],
            )
            .unwrap();
    }
}

fn requests(db: &Db) -> Vec<usize> {
    db.api
        .requests()
        .iter()
        .map(|request| request.texts().len())
        .collect()
}

#[test]
fn vectors_of_another_model_are_refused() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 30);
    filled_elsewhere(&mut session, 8, &Space::GEMINI_1);
    for n in [1, 2] {
        let hint = "name the model and content that made them";
        let refusal = match n {
            1 => refused(session.embed_all("'logs'"), "55000", "logs.embedding", hint),
            _ => refused(session.embed("'logs'"), "55000", "logs.embedding", hint),
        };
        assert!(refusal.message().contains("gemini-embedding-2"));
        assert_eq!(requests(&db), vec![5; n], "a sample and nothing else");
        assert_eq!(filled(&mut session, "logs"), 8);
    }
    // With the model that made them it goes on.
    let call = "'logs', model => 'gemini-embedding-001'";
    assert_eq!(session.embed_all(call).unwrap(), Finished::done(22, 0));
    assert_eq!(
        Space::GEMINI_1.holds(&mut session, "logs", "body", "embedding"),
        30
    );
}

#[test]
fn vectors_of_another_content_are_refused() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 30);
    session.run("ALTER TABLE logs ADD COLUMN title text; UPDATE logs SET title = 'title ' || id");
    filled_elsewhere(&mut session, 8, &Space::GEMINI_2);
    refused(
        session.embed_all("'logs', content => 'title'"),
        "55000",
        "same content",
        "",
    );
    assert_eq!(
        session.embed_all("'logs', content => 'body'").unwrap(),
        Finished::done(22, 0)
    );
    assert_eq!(right(&mut session, "logs"), 30);
}

#[test]
fn vectors_of_the_same_model_cost_one_small_request_once() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 30);
    filled_elsewhere(&mut session, 8, &Space::GEMINI_2);
    assert_eq!(
        session
            .embed_all("'logs', max_rows => 10")
            .unwrap()
            .embedded,
        10
    );
    assert_eq!(requests(&db), [5, 10]);
    // From now on the journal knows the column, for both calls.
    assert_eq!(session.embed("'logs', 4").unwrap(), 4);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(8, 0));
    assert_eq!(requests(&db), [5, 10, 4, 8]);
    assert_eq!(right(&mut session, "logs"), 30);
}

#[test]
fn the_sample_is_sent_once_whatever_becomes_of_the_first_rows() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 30);
    filled_elsewhere(&mut session, 8, &Space::GEMINI_2);
    session.run(
        "CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER veto BEFORE UPDATE ON logs FOR EACH ROW WHEN (OLD.id <= 20) EXECUTE FUNCTION veto()",
    );
    assert_eq!(session.embed("'logs', 4").unwrap(), 4);
    assert_eq!(requests(&db), [5, 4, 4, 4, 4]);
}

// Would pass wrongly without max_tokens, where the proof is simply asked for once more.
#[test]
fn a_proof_that_gets_no_answer_ends_a_run_that_may_not_pay_twice() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 30);
    filled_elsewhere(&mut session, 8, &Space::GEMINI_2);
    let call = "'logs', 10, max_tokens => 100000";
    db.api.set(|config| config.replies = [Reply::Close].into());
    refused(session.embed_all(call), "58030", "127.0.0.1", "");
    assert_eq!(
        requests(&db),
        [5],
        "the sample once, and no row before it is proven"
    );
    assert_eq!(filled(&mut session, "logs"), 8);
    assert_eq!(session.embed_all(call).unwrap(), Finished::done(22, 0));
    assert_eq!(right(&mut session, "logs"), 30);
}

#[test]
fn a_few_stale_vectors_do_not_decide() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 30);
    filled_elsewhere(&mut session, 5, &Space::GEMINI_2);
    session.run("UPDATE logs SET body = 'changed ' || id WHERE id <= 4");
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(25, 0));
}

#[test]
fn another_model_after_a_run_is_noticed() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 30);
    session.embed("'logs', 10").unwrap();
    session.run("SET embedding_backfill.model = 'gemini-embedding-001'");
    refused(session.embed("'logs'"), "55000", "gemini-embedding-001", "");
    refused(
        session.embed_all("'logs'"),
        "55000",
        "gemini-embedding-001",
        "",
    );
    assert_eq!(requests(&db), [10, 5, 5]);
    assert_eq!(right(&mut session, "logs"), 10);
    // Empty, the column may have any.
    session.run("UPDATE logs SET embedding = NULL");
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(30, 0));
}

/// `logs` with ten vectors of the first model in a column, and ten of the second in `embedding2`.
fn of_two_models() -> (Db<'static>, Session) {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 30);
    session.run("ALTER TABLE logs ADD COLUMN embedding2 vector(128)");
    for (column, model) in [
        ("embedding", "gemini-embedding-001"),
        ("embedding2", "gemini-embedding-2"),
    ] {
        let call =
            format!("'logs', embedding_column => '{column}', model => '{model}', max_rows => 10");
        assert_eq!(session.embed_all(&call).unwrap().embedded, 10);
    }
    (db, session)
}

// A name goes from one column to another when the old is replaced by the new.
#[test]
fn a_column_that_got_the_name_of_another() {
    let (db, mut session) = of_two_models();
    session.run(
        "ALTER TABLE logs DROP COLUMN embedding;
         ALTER TABLE logs RENAME COLUMN embedding2 TO embedding;
         SET embedding_backfill.model = 'gemini-embedding-001'",
    );
    session.run("SELECT embed_query('logs', 'a cat')");
    let path = db.api.requests().last().unwrap().path.clone();
    assert!(path.contains("gemini-embedding-2"), "{path}");
    // What was left over of the old column.
    let call = "'logs', model => 'gemini-embedding-001'";
    refused(session.embed_all(call), "55000", "gemini-embedding-001", "");
    refused(session.embed(call), "55000", "gemini-embedding-001", "");
    let before = requests(&db).len();
    assert_eq!(
        session
            .embed_all("'logs', model => 'gemini-embedding-2'")
            .unwrap(),
        Finished::done(20, 0)
    );
    assert_eq!(requests(&db)[before..], [20], "it is known, under any name");
    assert_eq!(right(&mut session, "logs"), 30);
}

#[test]
fn a_new_column_by_the_name_of_an_old_one() {
    let (db, mut session) = of_two_models();
    session.run(
        "ALTER TABLE logs DROP COLUMN embedding, DROP COLUMN embedding2;
         ALTER TABLE logs ADD COLUMN embedding vector(128)",
    );
    session.run("SELECT embed_query('logs', 'a cat')");
    let path = db.api.requests().last().unwrap().path.clone();
    assert!(path.contains("gemini-embedding-2"), "{path}");
    filled_elsewhere(&mut session, 8, &Space::GEMINI_2);
    let call = "'logs', model => 'gemini-embedding-001'";
    refused(session.embed_all(call), "55000", "gemini-embedding-001", "");
}

#[test]
fn nothing_is_proven_where_there_is_nothing_to_do() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 8);
    filled_elsewhere(&mut session, 8, &Space::GEMINI_1);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(0, 0));
    assert_eq!(session.embed("'logs'").unwrap(), 0);
    assert_eq!(db.api.stats().requests, 0);
}
