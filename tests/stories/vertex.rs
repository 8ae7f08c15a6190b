//! Vertex AI as the provider: what is sent, how much of it at once, what the answers tell, and what it costs.

use google_standin::vector_for;
use support::{Db, Finished, PROJECT, Session, Space, Vertex, prompt, refused};

use crate::{
    fixtures::{filled, logs, right},
    plan::{plan, warnings},
};

pub const OLDER: &str = "text-embedding-004";

/// `logs`, as wide as the vectors of the older models.
pub fn older_logs(session: &mut Session, rows: u32) {
    logs(session, rows);
    session.run("ALTER TABLE logs ALTER embedding TYPE vector(768)");
}

fn embed_all(session: &mut Session, model: &str) -> Finished {
    let arguments = format!("'logs', 1000, model => '{model}'");
    session.embed_all(&arguments).unwrap()
}

fn path(model: &str, method: &str) -> String {
    format!(
        "/v1/projects/{PROJECT}/locations/global/publishers/google/models/{model}:{method}?prettyPrint=false"
    )
}

#[test]
fn a_request_for_a_gemini_model_is_what_google_documents() {
    let db = Vertex::fresh();
    let mut session = db.session();
    logs(&mut session, 1);
    assert_eq!(session.embed("'logs'").unwrap(), 1);

    let request = &db.api.requests()[0];
    assert_eq!(
        request.path,
        path("gemini-embedding-2", "batchEmbedContents")
    );
    assert_eq!(request.header("x-goog-api-key"), None);
    let bearer = request.header("authorization").unwrap();
    assert!(bearer.starts_with("Bearer ya29."), "{bearer}");
    assert_eq!(request.texts(), [prompt("entry 1 naïve café")]);
    assert_eq!(right(&mut session, "logs"), 1);
}

#[test]
fn the_models_that_only_vertex_has_are_asked_to_predict() {
    let db = Vertex::fresh();
    db.set("vertex_location", "global");
    let mut session = db.session();
    older_logs(&mut session, 20);
    for model in [
        OLDER,
        "text-embedding-005",
        "text-multilingual-embedding-002",
    ] {
        assert_eq!(embed_all(&mut session, model), Finished::done(20, 0));
        let requests = db.api.requests();
        let request = requests.last().unwrap();
        assert_eq!(request.path, path(model, "predict"));
        let instance = &request.json()["instances"][0];
        assert_eq!(instance["task_type"], "RETRIEVAL_DOCUMENT");
        let space = Space::of_text_model(model);
        assert_eq!(space.holds(&mut session, "logs", "body", "embedding"), 20);
        session.run("UPDATE logs SET embedding = NULL");
    }
}

// Would pass wrongly if both kinds of row were made by the extension: half of them come from the stand-in's own function.
#[test]
fn a_column_that_was_filled_elsewhere_goes_on_in_its_space() {
    let db = Vertex::fresh();
    let mut session = db.session();
    older_logs(&mut session, 100);
    let old = session
        .query("SELECT id, body FROM logs WHERE id <= 50", &[])
        .unwrap();
    for row in old {
        let (id, body): (i64, String) = (row.get(0), row.get(1));
        let vector = vector_for(&body, OLDER, 768, "RETRIEVAL_DOCUMENT");
        session
            .execute(
                "UPDATE logs SET embedding = $1 WHERE id = $2",
                &[&pgvector::Vector::from(vector), &id],
            )
            .unwrap();
    }
    session.run(&format!("SET embedding_backfill.model = '{OLDER}'"));
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(50, 0));
    assert_eq!(
        Space::TEXT_4.holds(&mut session, "logs", "body", "embedding"),
        100
    );
    // And it is searched there.
    let nearest =
        "SELECT id FROM logs ORDER BY embedding <=> embed_query('logs', 'entry 7') LIMIT 1";
    session.query_one(nearest, &[]).unwrap();
    let requests = db.api.requests();
    let asked = requests.last().unwrap();
    assert_eq!(asked.path, path(OLDER, "predict"));
    assert_eq!(asked.json()["instances"][0]["task_type"], "RETRIEVAL_QUERY");
    // Another model of the same width is not let in.
    session.run(
        "UPDATE logs SET embedding = NULL WHERE id = 1; DELETE FROM embedding_backfill.journal",
    );
    let other = session.embed("'logs', model => 'text-embedding-005'");
    refused(other, "55000", "embedding", "model");
    assert_eq!(filled(&mut session, "logs"), 99);
}

#[test]
fn a_request_has_up_to_250_texts() {
    let db = Vertex::fresh();
    let mut session = db.session();
    older_logs(&mut session, 600);
    assert_eq!(embed_all(&mut session, OLDER), Finished::done(600, 0));
    let requests = db.api.requests();
    let largest = requests.iter().map(|request| request.texts().len()).max();
    assert_eq!(largest, Some(250));
    assert_eq!(db.api.stats().answered_error, 0);
    assert_eq!(
        Space::TEXT_4.holds(&mut session, "logs", "body", "embedding"),
        600
    );
}

// The stand-in refuses a request of more, so an error would be counted; that a request has nearly as many tells that they are
// not just sent one by one.
#[test]
fn a_request_has_up_to_20_000_tokens() {
    let db = Vertex::fresh();
    let mut session = db.session();
    older_logs(&mut session, 100);
    session.run("UPDATE logs SET body = id || repeat(' some words', 500)");
    for model in [OLDER, "gemini-embedding-2"] {
        assert_eq!(embed_all(&mut session, model), Finished::done(100, 0));
        session.run("UPDATE logs SET embedding = NULL");
    }
    assert_eq!(db.api.stats().answered_error, 0);
    let requests = db.api.requests();
    assert!(
        requests.len() < 40,
        "{} requests for 200,000 tokens",
        requests.len()
    );
}

#[test]
fn the_journal_has_the_tokens_that_were_billed() {
    let db = Vertex::fresh();
    let mut session = db.session();
    older_logs(&mut session, 300);
    assert_eq!(embed_all(&mut session, OLDER), Finished::done(300, 0));
    let tokens = session.number("SELECT tokens FROM embedding_backfill.runs");
    assert_eq!(tokens as u64, db.api.stats().tokens);
}

#[test]
fn texts_that_are_cut_are_counted_and_told() {
    let db = Vertex::fresh();
    let mut session = db.session();
    older_logs(&mut session, 20);
    // One is more than a whole request may have.
    session.run("UPDATE logs SET body = id || repeat(' word', CASE id WHEN 2 THEN 30000 ELSE 3000 END) WHERE id <= 3");
    assert_eq!(embed_all(&mut session, OLDER), Finished::done(20, 0));
    assert_eq!(db.api.stats().answered_error, 0);
    assert_eq!(
        Space::TEXT_4.holds(&mut session, "logs", "body", "embedding"),
        20
    );
    let notices = session.notices();
    let told = notices
        .iter()
        .filter(|notice| notice.contains("2048 tokens of 3 of the texts"));
    assert_eq!(told.count(), 1, "{notices:#?}");
    session.run("UPDATE logs SET embedding = NULL WHERE id IN (1, 10)");
    session
        .embed(&format!("'logs', model => '{OLDER}'"))
        .unwrap();
    let notices = session.notices();
    assert!(
        notices
            .iter()
            .any(|notice| notice.contains("2048 tokens of 1 of the texts")),
        "{notices:#?}"
    );
}

/// Dollars for a million characters, white space not counted.
const PER_MILLION_CHARACTERS: f64 = 0.025;

#[test]
fn the_older_models_are_paid_by_the_character() {
    let db = Vertex::fresh();
    let mut session = db.session();
    older_logs(&mut session, 200);
    session.run("UPDATE logs SET body = repeat('naïve café ', 500) || id");
    session.run(&format!("SET embedding_backfill.model = '{OLDER}'"));
    let told = plan(&mut session, "'logs'");
    let characters =
        session.number(r"SELECT sum(length(regexp_replace(body, '\s', '', 'g')))::int8 FROM logs");
    let right = characters as f64 * PER_MILLION_CHARACTERS / 1e6;
    let cost = told["cost_usd"].as_f64().unwrap();
    assert!((cost / right - 1.0).abs() < 0.15, "{cost} for {right}");
    // The run's own word is exact, and by what Google bills.
    session.embed_all("'logs'").unwrap();
    let notices = session.notices();
    let exact = format!("${right:.4}");
    assert!(
        notices.iter().any(|notice| notice.contains(&exact)),
        "{exact}: {notices:#?}"
    );
}

// Two rows are 9,000 characters, which is what the run may spend and a little: a third would pass it.
#[test]
fn what_is_paid_by_the_character_keeps_to_max_cost() {
    let db = Vertex::fresh();
    let mut session = db.session();
    older_logs(&mut session, 20);
    session.run("UPDATE logs SET body = repeat('naïve café ', 500) || id");
    session.run(&format!("SET embedding_backfill.model = '{OLDER}'"));
    let most = 9_500.0 * PER_MILLION_CHARACTERS / 1e6;
    let finished = session.embed_all(&format!("'logs', 1, max_cost => {most}"));
    let finished = finished.unwrap();
    assert_eq!(
        (finished.embedded, finished.stopped_because.as_str()),
        (2, "max_cost")
    );
    assert_eq!(db.api.stats().texts_billed, 2);
    let spent = "SELECT round(cost * 1000000) FROM embedding_backfill.runs";
    let spent = session.text(&format!("SELECT ({spent})::text"));
    let characters =
        session.number(r"SELECT sum(length(regexp_replace(body, '\s', '', 'g')))::int8 FROM logs WHERE embedding IS NOT NULL");
    let right = (characters as f64 * PER_MILLION_CHARACTERS).round();
    assert_eq!(spent, right.to_string());
}

#[test]
fn the_plan_says_whose_vectors_the_column_may_have() {
    let db = Db::fresh();
    let mut session = db.session();
    older_logs(&mut session, 20);
    let at_vertex = Vertex::fresh();
    let warnings = |session: &mut Session| warnings(session, "'logs'");
    assert!(!warnings(&mut session).contains("vertex"));
    // By the journal, where the extension has filled it.
    let change = format!(
        "SET embedding_backfill.provider = 'vertex'; SET embedding_backfill.base_url = '{}';
         SET embedding_backfill.credentials_file = '{}'",
        at_vertex.api.vertex_url(),
        at_vertex.path("credentials_file").display()
    );
    session.run(&change);
    session
        .embed(&format!("'logs', 10, model => '{OLDER}'"))
        .unwrap();
    session.run("RESET embedding_backfill.provider; RESET embedding_backfill.base_url");
    let told = warnings(&mut session);
    assert!(
        told.contains(OLDER) && told.contains("provider = 'vertex'"),
        "{told}"
    );
    // By what can be seen of it, where somebody else has.
    session.run("DELETE FROM embedding_backfill.journal");
    let told = warnings(&mut session);
    assert!(
        told.contains(OLDER) && told.contains("provider = 'vertex'"),
        "{told}"
    );
    session.run("UPDATE logs SET embedding = NULL");
    assert!(!warnings(&mut session).contains("vertex"));
    assert_eq!(db.api.stats().requests, 0, "it sends nothing");
}

#[test]
fn the_log_says_where_the_texts_went() {
    let db = Vertex::fresh();
    db.set("vertex_location", "us-central1");
    let mut session = db.session();
    session.run(
        "CREATE TABLE placed (body text, embedding vector(128)); INSERT INTO placed VALUES ('a')",
    );
    assert_eq!(session.embed("'placed'").unwrap(), 1);
    let log = db.log();
    let line = log
        .lines()
        .find(|line| line.contains("relation=public.placed "));
    let line = line.expect("the run left a line");
    assert!(
        line.contains(&format!(" project={PROJECT} location=us-central1 ")),
        "{line}"
    );
}
