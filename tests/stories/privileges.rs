//! Who may spend money and send data out, and that nobody gets more rights through it than he has.

use google_standin::Config;
use support::{Cluster, Db, Finished, Trial, denied};

use crate::fixtures::{logs, right};

const CALLS: [&str; 2] = [
    "SELECT embed_missing('logs')",
    "CALL embed_all_missing('logs')",
];

#[test]
fn public_may_not_call() {
    let db = Db::fresh();
    let mut owner = db.session();
    let role = db.role("anybody");
    logs(&mut owner, 3);
    owner.run(&format!("GRANT ALL ON logs TO {role}"));
    let mut session = db.session_as(&role);
    let more = [
        "SELECT FROM embed_verify('logs')",
        "SELECT embed_query('logs', 'a question')",
        "SELECT embed_text('a text')",
        "SELECT embed_texts('{a text}')",
        "SELECT embedding_backfill.embed_each('{a text}', NULL, NULL, NULL)",
        "SELECT embedding_backfill.run_begin('logs', 50, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    ];
    let calls = CALLS.into_iter().chain(more);
    let mut tried = 0;
    for call in calls {
        denied(session.query(call, &[]), "42501", "permission denied for");
        tried += 1;
    }
    assert_eq!(db.api.stats().requests, 0);
    let error = denied(session.query(CALLS[0], &[]), "42501", "permission");
    Trial {
        chapter: "Privileges",
        fault: "a call by a role without a grant: what spends money or sends data, and the steps that it is made of",
        times: tried,
        seen: error.message(),
        lost: 0,
        doubled: 0,
    }
    .note();
}

// What the procedure is made of is open to all, so that a grant on the procedure is enough; it must not be a way around the grant.
#[test]
fn the_steps_of_a_run_are_no_way_around_the_grant() {
    let db = Db::fresh();
    let mut owner = db.session();
    let role = db.role("anybody");
    logs(&mut owner, 3);
    owner.run(&format!("GRANT ALL ON logs TO {role}"));
    let open = "SELECT p.prokind::text, p.oid::regproc::text, pg_get_function_identity_arguments(p.oid)
                FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
                JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'embedding_backfill'
                WHERE p.prorettype <> 'trigger'::regtype AND has_function_privilege('public', p.oid, 'EXECUTE')";
    for row in owner.query(open, &[]).unwrap() {
        let (kind, name, arguments): (String, String, String) =
            (row.get(0), row.get(1), row.get(2));
        let verb = if kind == "p" { "CALL" } else { "SELECT" };
        let known: Vec<&str> = arguments
            .split(", ")
            .filter(|argument| !argument.is_empty() && !argument.starts_with("OUT "))
            .collect();
        let values: Vec<&str> = known
            .iter()
            .map(|argument| match argument.rsplit(' ').next().unwrap() {
                "regclass" => "'logs'",
                "integer" => "50",
                _ => "NULL",
            })
            .collect();
        let call = format!("{verb} {name}({})", values.join(", "));
        println!("{call}");
        match db.session_as(&role).batch_execute(&call) {
            // Outside a run it is a mere COMMIT; what users call and all may call sends nothing.
            Ok(()) => assert!(
                name == "embedding_backfill.run_wait" || !name.starts_with("embedding_backfill."),
                "{name}"
            ),
            Err(error) => assert!(
                ["42501", "55000"].contains(&error.code().unwrap().code()),
                "{error:?}"
            ),
        }
    }
    assert_eq!(db.api.stats().requests, 0);
}

// README's grants are enough wherever the extension is installed.
#[test]
fn what_is_open_is_so_whatever_the_default_privileges_are() {
    let db = Db::bare(Cluster::shared(), Config::default());
    let mut owner = db.session();
    owner.run(
        "CREATE EXTENSION vector;
         ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON ROUTINES FROM PUBLIC;
         CREATE EXTENSION embedding_backfill",
    );
    let role = db.role("embedder");
    logs(&mut owner, 3);
    owner.run(&format!(
        "GRANT EXECUTE ON PROCEDURE embed_all_missing TO {role};
         GRANT EXECUTE ON FUNCTION embed_texts TO {role};
         GRANT SELECT, UPDATE (embedding) ON logs TO {role};
         GRANT CREATE ON SCHEMA public TO {role}"
    ));
    let mut session = db.session_as(&role);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(3, 0));
    for call in [
        "SELECT FROM embed_plan('logs')",
        "SELECT cardinality(embed_texts('{a text}'))",
        "SELECT embed_stop('logs')",
        "SELECT embed_retry_rejected('logs')",
        "CREATE TABLE mine AS TABLE logs",
        "SELECT embed_keep_fresh('mine', 'body')",
        "UPDATE mine SET body = 'changed'",
        "SELECT embed_keep_fresh_off('mine')",
    ] {
        session
            .batch_execute(call)
            .unwrap_or_else(|error| panic!("{call}: {error:?}"));
    }
    denied(
        session.query(CALLS[0], &[]),
        "42501",
        "permission denied for function embed_missing",
    );
}

#[test]
fn execute_without_update_is_refused_before_anything_is_sent() {
    let db = Db::fresh();
    let mut owner = db.session();
    let role = db.role("reader");
    logs(&mut owner, 3);
    owner.run(&format!(
        "ALTER TABLE logs ADD COLUMN note text;
         GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role};
         GRANT SELECT, INSERT, DELETE, UPDATE (note) ON logs TO {role}"
    ));
    let mut session = db.session_as(&role);
    for call in CALLS {
        denied(
            session.query(call, &[]),
            "42501",
            "permission denied for table logs",
        );
    }
    assert_eq!(db.api.stats().requests, 0);
}

#[test]
fn execute_without_select_is_refused_before_anything_is_sent() {
    let db = Db::fresh();
    let mut owner = db.session();
    let role = db.role("writer");
    logs(&mut owner, 3);
    owner.run(&format!(
        "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role};
         GRANT UPDATE, SELECT (id, embedding) ON logs TO {role}"
    ));
    let mut session = db.session_as(&role);
    for call in CALLS {
        denied(
            session.query(call, &[]),
            "42501",
            "permission denied for table logs",
        );
    }
    assert_eq!(db.api.stats().requests, 0);
}

#[test]
fn select_and_update_on_the_column_suffice() {
    let db = Db::fresh();
    let mut owner = db.session();
    let role = db.role("operator");
    logs(&mut owner, 20);
    owner.run(&format!(
        "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role};
         GRANT SELECT, UPDATE (embedding) ON logs TO {role}"
    ));
    let mut session = db.session_as(&role);
    assert_eq!(session.embed("'logs', 5").unwrap(), 5);
    assert_eq!(
        session.embed_all("'logs', 5").unwrap(),
        Finished::done(15, 0)
    );
}

// What content reads and what is filled, and nothing more but the place of a row, which counts as a column of its own.
#[test]
fn rights_on_single_columns_suffice() {
    let db = Db::fresh();
    let mut owner = db.session();
    let role = db.role("operator");
    logs(&mut owner, 20);
    owner.run(&format!(
        "ALTER TABLE logs ADD COLUMN secret text;
         GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role};
         GRANT SELECT (ctid, body, embedding), UPDATE (embedding) ON logs TO {role}"
    ));
    let mut session = db.session_as(&role);
    assert_eq!(session.embed("'logs', 5, content => 'body'").unwrap(), 5);
    assert_eq!(
        session.embed_all("'logs', 5, content => 'body'").unwrap(),
        Finished::done(15, 0)
    );
    denied(
        session.embed("'logs', content => 'secret'"),
        "42501",
        "permission denied",
    );
}

// As for UPDATE itself, rights on the parent are enough: its partitions are how it is stored.
#[test]
fn rights_on_a_partitioned_table_cover_its_partitions() {
    let db = Db::fresh();
    let mut owner = db.session();
    let role = db.role("operator");
    owner.run(&format!(
        "CREATE TABLE logs (id bigint, body text, embedding vector(128)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF logs FOR VALUES FROM (0) TO (10);
         CREATE TABLE high PARTITION OF logs DEFAULT;
         INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(1, 20) i;
         GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role};
         GRANT SELECT, UPDATE ON logs TO {role}"
    ));
    let mut session = db.session_as(&role);
    session.run("BEGIN; UPDATE logs SET embedding = NULL; ROLLBACK");
    assert_eq!(session.embed("'logs', 15").unwrap(), 15);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(5, 0));
    assert_eq!(right(&mut owner, "logs"), 20);
}

// Rights on a partition as well change nothing, where its schema may not be used.
#[test]
fn rights_on_a_partitioned_table_cover_partitions_in_a_closed_schema() {
    let db = Db::fresh();
    let mut owner = db.session();
    let role = db.role("operator");
    owner.run(&format!(
        "CREATE SCHEMA closed;
         CREATE TABLE logs (id bigint, body text, embedding vector(128)) PARTITION BY RANGE (id);
         CREATE TABLE closed.low PARTITION OF logs FOR VALUES FROM (0) TO (10);
         CREATE TABLE high PARTITION OF logs DEFAULT;
         INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(1, 20) i;
         GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role};
         GRANT SELECT, UPDATE ON logs, closed.low, high TO {role}"
    ));
    let mut session = db.session_as(&role);
    assert_eq!(session.embed("'logs', 15").unwrap(), 15);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(5, 0));
    assert_eq!(right(&mut owner, "logs"), 20);
}

#[test]
fn a_schema_that_may_not_be_used_stays_closed() {
    let db = Db::fresh();
    let mut owner = db.session();
    let role = db.role("operator");
    owner.run(&format!(
        "CREATE SCHEMA closed; CREATE TABLE closed.t (body text, embedding vector(128)); INSERT INTO closed.t VALUES ('a');
         GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role}; GRANT ALL ON closed.t TO {role}"
    ));
    let oid = owner.number("SELECT 'closed.t'::regclass::oid::bigint");
    denied(
        db.session_as(&role).embed(&format!("{oid}")),
        "42501",
        "permission denied for schema closed",
    );
    assert_eq!(db.api.stats().requests, 0);
}

#[test]
fn all_of_it_runs_with_the_callers_rights() {
    let db = Db::fresh();
    let raised = "SELECT count(*) FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass
                  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'embedding_backfill'
                  WHERE p.prosecdef AND p.proname LIKE 'embed%'";
    assert_eq!(db.session().number(raised), 0);
}
