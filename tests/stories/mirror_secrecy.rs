//! Chroma's token appears nowhere, whatever its server or what stands before it answers, with our server at its most talkative.

use google_standin::Config;
use support::{Chroma, Db, Gateway, Verdict};

use crate::{
    fixtures::logs,
    mirror::store_of,
    secrecy::{Told, talkative},
};

#[test]
fn nothing_brings_the_token_to_light() {
    let cluster = talkative();
    let db = Db::on(&cluster, Config::default());
    let store = store_of(&db, Chroma::shared());
    db.set("max_attempts", "1");
    // What it begins with is what the secrecy of keys looks for.
    let token = format!("AQ.key-of-chroma-{}-0123456789abcdef", db.name);
    let gateway = Gateway::asking_for(Chroma::shared(), &token);
    let file = |name: &str, content: &str| db.file(name, content, 0o600).display().to_string();
    db.set("chroma_url", &gateway.url());
    db.set("chroma_token_file", &file("token", &token));
    let mut session = db.session();
    logs(&mut session, 40);
    session.embed_all("'logs'").unwrap();
    session.run("SET client_min_messages = debug5");
    let mut told = Told::default();
    assert_eq!(
        session.mirror("'logs', 'logs', batch => 10").unwrap(),
        (40, 0)
    );
    assert!(store.count("logs") == 40, "the token does not work");
    told.look(&mut session);

    // Answers that repeat it, wherever an answer has room for words.
    let echo = token.clone();
    for status in [200, 400, 401, 403, 404, 413, 422, 429, 500, 302] {
        for form in [
            "TOKEN",
            r#"{"error":"TOKEN","message":"TOKEN is not welcome"}"#,
            r#"{"error":"E","message":"Bearer TOKEN"}"#,
            r#"{"detail":[{"loc":["TOKEN"],"msg":"TOKEN"}]}"#,
            r#"{"max_batch_size":"TOKEN","id":"TOKEN","dimension":"TOKEN","metadata":{"TOKEN":"TOKEN"}}"#,
        ] {
            let body: &'static str = form.replace("TOKEN", &echo).leak();
            for at in ["pre-flight-checks", "collections", "upsert", "get"] {
                gateway.set(move |asked| match asked.is(at) {
                    true => Verdict::Answer(status, body),
                    false => Verdict::Pass,
                });
                told.add(session.mirror("'logs', 'logs'"));
            }
        }
        told.look(&mut session);
    }
    gateway.set(|_| Verdict::Close);
    told.add(session.mirror("'logs', 'logs'"));
    let mut answered = gateway.seen().into_iter();
    assert!(
        answered.all(|asked| asked.head.contains(&token)),
        "a request had no token"
    );

    for (name, content) in [
        ("lines", "TOKEN\nTOKEN"),
        ("header", "TOKEN\r\nX-Evil: 1"),
        ("tab", "TOKEN\tTOKEN"),
        ("no-ascii", "TOKENé"),
    ] {
        let path = file(name, &content.replace("TOKEN", &token));
        session.run(&format!(
            "SET embedding_backfill.chroma_token_file = '{path}'"
        ));
        let result = session.mirror("'logs', 'logs'");
        assert!(result.is_err(), "{name}");
        told.add(result);
    }
    // A likely slip: the token in place of its file's path.
    session.run("SET embedding_backfill.chroma_token_file = 'a-token-for-a-path'");
    told.add(session.mirror("'logs', 'logs'"));
    assert!(!told.says("a-token-for-a-path"));
    session.run("RESET embedding_backfill.chroma_token_file");
    told.add(session.embed_all("'logs', mirror => 'logs'"));
    told.has_no_key(&cluster, &db, &mut session);
}
