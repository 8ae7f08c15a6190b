//! A table whose owner lies in wait for the operator who fills it: functions of his wherever a table can have some, each of which
//! tells that it ran. None may run but those that a plain statement of the operator's would have run as well.

use std::collections::BTreeSet;

use support::{Db, Session, Trial, denied};

/// All that an owner can hang on a table, its types and its schema. `ran` could do anything with the rights of whoever it runs as.
const TRAPS: &str = r#"
    CREATE SCHEMA trap;
    CREATE FUNCTION trap.ran(what text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN RAISE NOTICE 'ran: %', what; RETURN what; END $$;

    CREATE TYPE trap.key AS ENUM ('k1', 'k2', 'k3', 'k4', 'k5', 'k6');
    CREATE FUNCTION trap.key_text(trap.key) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT trap.ran('cast of a key to text') $$;
    CREATE FUNCTION trap.key_json(trap.key) RETURNS json LANGUAGE sql IMMUTABLE AS $$ SELECT to_json(trap.ran('cast of a key to json')) $$;
    CREATE FUNCTION trap.key_jsonb(trap.key) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$ SELECT to_jsonb(trap.ran('cast of a key to jsonb')) $$;
    CREATE CAST (trap.key AS text) WITH FUNCTION trap.key_text AS IMPLICIT;
    CREATE CAST (trap.key AS json) WITH FUNCTION trap.key_json AS IMPLICIT;
    CREATE CAST (trap.key AS jsonb) WITH FUNCTION trap.key_jsonb AS IMPLICIT;

    CREATE TYPE trap.citext AS ENUM ('not citext');
    CREATE FUNCTION trap.citext_text(trap.citext) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT trap.ran('cast of a type called citext') $$;
    CREATE CAST (trap.citext AS text) WITH FUNCTION trap.citext_text AS IMPLICIT;
    CREATE TYPE trap.text AS (t pg_catalog.text);
    CREATE FUNCTION trap.text_text(trap.text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT trap.ran('cast of a type called text') $$;
    CREATE CAST (trap.text AS pg_catalog.text) WITH FUNCTION trap.text_text AS IMPLICIT;

    CREATE DOMAIN trap.body AS text CHECK (trap.ran('check of a domain') IS NOT NULL);
    CREATE FUNCTION trap.vector() RETURNS vector LANGUAGE sql AS $$ SELECT trap.ran('default')::vector $$;
    CREATE TABLE trap.logs (
        id trap.key PRIMARY KEY,
        body trap.body CHECK (trap.ran('check of a column') IS NOT NULL),
        note text,
        kind trap.citext,
        other trap.text,
        made text GENERATED ALWAYS AS (trap.ran('generated column') || note) STORED,
        embedding vector(128),
        CHECK (trap.ran('check of the table') IS NOT NULL));
    CREATE INDEX ON trap.logs (trap.ran('index on ' || 'an expression'), note);
    CREATE INDEX ON trap.logs ((trap.ran('index on ' || note)));
    CREATE INDEX ON trap.logs (note) WHERE trap.ran('index with a predicate on ' || note) IS NOT NULL;
    CREATE STATISTICS trap.known ON (trap.ran('statistics on ' || note)), note FROM trap.logs;
    INSERT INTO trap.logs (id, body, note, kind, other)
        SELECT ('k' || i)::trap.key, CASE i WHEN 3 THEN 'poison' ELSE 'entry ' || i END, 'note', 'not citext'::trap.citext, '(x)'::trap.text FROM generate_series(1, 6) i;
    ALTER TABLE trap.logs ALTER embedding SET DEFAULT trap.vector();
    ANALYZE trap.logs;

    CREATE FUNCTION trap.fire() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM trap.ran('trigger ' || TG_NAME || ' ' || TG_OP); RETURN NEW; END $$;
    CREATE TRIGGER before BEFORE UPDATE OR INSERT OR DELETE ON trap.logs FOR EACH ROW EXECUTE FUNCTION trap.fire();
    CREATE TRIGGER after AFTER UPDATE OR INSERT OR DELETE ON trap.logs FOR EACH ROW EXECUTE FUNCTION trap.fire();
    CREATE TRIGGER each_statement AFTER UPDATE OR TRUNCATE ON trap.logs EXECUTE FUNCTION trap.fire();
    CREATE TRIGGER condition BEFORE UPDATE ON trap.logs FOR EACH ROW
        WHEN (trap.ran('condition of a trigger') IS NULL) EXECUTE FUNCTION trap.fire();
    CREATE RULE also AS ON UPDATE TO trap.logs DO ALSO SELECT trap.ran('rule');
    ALTER TABLE trap.logs ENABLE ROW LEVEL SECURITY;
    CREATE POLICY all_rows ON trap.logs USING (trap.ran('policy') IS NOT NULL);

    CREATE VIEW trap.a_view AS SELECT trap.ran('view') AS body, NULL::vector(128) AS embedding;
    CREATE MATERIALIZED VIEW trap.a_snapshot AS SELECT 'x'::text AS body, NULL::vector(128) AS embedding;
"#;

/// Often enough that the new versions of the rows do not fit where the old ones are: only then the indexes are written to.
const UPDATE: &str = "DO $$ BEGIN FOR i IN 1..40 LOOP UPDATE trap.logs SET embedding = array_fill(i, ARRAY[128])::vector; END LOOP; END $$;
                      UPDATE trap.logs SET embedding = NULL";

/// What the owner's functions said since the last look.
fn ran(session: &mut Session) -> BTreeSet<String> {
    let notices = session.notices();
    let said = notices
        .iter()
        .filter_map(|notice| notice.split_once("ran: "));
    said.map(|(_, what)| what.to_owned()).collect()
}

/// What runs when the operator does this by hand, without us.
fn by_hand(session: &mut Session, statements: &str) -> BTreeSet<String> {
    session.notices();
    session.run(statements);
    ran(session)
}

fn traps(db: &Db) -> [(String, bool); 2] {
    let owner = db.role("owner");
    let operator = db.role("operator");
    let mut session = db.session();
    session.run(&format!(
        "GRANT CREATE ON DATABASE {} TO {owner}; SET ROLE {owner}; {TRAPS}; RESET ROLE;
         GRANT USAGE ON SCHEMA trap TO {operator}; GRANT SELECT, UPDATE ON trap.logs TO {operator};
         GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {operator}",
        db.name
    ));
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    [("postgres".to_owned(), true), (operator, false)]
}

#[test]
fn nothing_of_the_owners_runs_that_an_update_would_not_run() {
    let db = Db::fresh();
    let mut tried = 0;
    for (operator, is_superuser) in traps(&db) {
        let mut session = db.session_as(&operator);
        session.run("SET client_min_messages = notice");
        let reading = by_hand(&mut session, "SELECT * FROM trap.logs");
        let writing = by_hand(&mut session, UPDATE);
        assert!(
            writing.iter().any(|what| what.starts_with("trigger")),
            "the traps are not set: {writing:?}"
        );
        assert_eq!(reading.contains("policy"), !is_superuser);

        let calls = [
            ("SELECT * FROM embed_plan('trap.logs')", &reading),
            ("SELECT embed_missing('trap.logs', 2)", &writing),
            ("CALL embed_all_missing('trap.logs')", &writing),
            ("SELECT * FROM embed_verify('trap.logs')", &reading),
            ("SELECT embed_query('trap.logs', 'a question')", &reading),
            ("SELECT embed_stop('trap.logs')", &reading),
            ("SELECT * FROM embedding_backfill.runs", &reading),
            ("SELECT * FROM embedding_backfill.rejects", &reading),
            ("SELECT * FROM embedding_backfill.progress", &reading),
            ("SELECT embed_retry_rejected('trap.logs')", &reading),
        ];
        for (call, expected) in calls {
            println!("{operator}: {call}");
            session.notices();
            let rows = session.query(call, &[]).unwrap();
            assert!(!rows.is_empty() || call.contains("progress"), "{call}");
            let beyond: Vec<_> = ran(&mut session).difference(expected).cloned().collect();
            assert!(beyond.is_empty(), "{call} ran {beyond:?}");
            tried += 1;
        }
    }
    Trial {
        chapter: "Privileges",
        fault: "an owner's functions in triggers, rules, checks, defaults, generated columns, indexes, statistics, policies, casts and domains",
        times: tried,
        seen: "only what an UPDATE by hand runs",
        lost: 0,
        doubled: 0,
    }
    .note();
}

// DDL on a table of somebody else's, by a superuser.
#[test]
fn a_trigger_is_made_without_the_owners_functions() {
    let db = Db::fresh();
    let [(superuser, _), _] = traps(&db);
    let mut session = db.session_as(&superuser);
    for call in [
        "SELECT embed_keep_fresh('trap.logs', 'body', 'note', 'kind', 'other')",
        "SELECT embed_keep_fresh('trap.logs', 'id')",
        "SELECT embed_keep_fresh_off('trap.logs')",
    ] {
        assert_eq!(by_hand(&mut session, call), BTreeSet::new(), "{call}");
    }
}

#[test]
fn a_view_is_not_read() {
    let db = Db::fresh();
    let mut tried = 0;
    let mut seen = String::new();
    for (operator, _) in traps(&db) {
        let mut session = db.session_as(&operator);
        for relation in ["trap.a_snapshot", "trap.a_view"] {
            for call in [
                "SELECT FROM embed_plan(?)",
                "SELECT embed_missing(?)",
                "CALL embed_all_missing(?)",
                "SELECT FROM embed_verify(?)",
                "SELECT embed_query(?, 'a question')",
            ] {
                let call = call.replace('?', &format!("'{relation}'"));
                let error = denied(session.query(&call, &[]), "42809", "view");
                assert_eq!(ran(&mut session), BTreeSet::new(), "{call}");
                seen = error.message().to_owned();
                tried += 1;
            }
        }
    }
    assert_eq!(db.api.stats().requests, 0);
    Trial {
        chapter: "Privileges",
        fault: "an owner's view or materialized view instead of a table",
        times: tried,
        seen: &seen,
        lost: 0,
        doubled: 0,
    }
    .note();
}
