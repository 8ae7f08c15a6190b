//! Whether the stories of upgrade.rs could fail: a next version is made up, with a change of each kind, and an update script that
//! has them all passes, one that forgets any of them does not.

use std::panic::catch_unwind;

use support::{Members, Scripts, Session};

use crate::upgrade::{EXTENSION, installed, survives, this_script, this_version, update};

/// A change of the next version.
struct Change {
    /// What the install script has now, and what instead.
    now: &'static str,
    next: &'static str,
    /// What does the same to an installation; `@` is for the statement of the next install script that begins as what follows.
    update: &'static str,
    /// What tells that it was forgotten.
    gap: &'static str,
}

const CHANGES: &[Change] = &[
    Change {
        now: "    removed bigint NOT NULL DEFAULT 0\n)",
        next: "    removed bigint NOT NULL DEFAULT 0,\n    host text DEFAULT 'here'\n)",
        update: "ALTER TABLE embedding_backfill.journal ADD COLUMN host text DEFAULT 'here';",
        gap: "host text",
    },
    Change {
        now: "    reason text NOT NULL,\n    at",
        next: "    reason text NOT NULL CHECK (reason OPERATOR(pg_catalog.<>) ''),\n    at",
        update: "ALTER TABLE embedding_backfill.rejected ADD CHECK (reason OPERATOR(pg_catalog.<>) '');",
        gap: "rejected_reason_check",
    },
    Change {
        now: "REVOKE ALL ON TABLE embedding_backfill.journal FROM PUBLIC;",
        next: "REVOKE ALL ON TABLE embedding_backfill.journal FROM PUBLIC;
               CREATE INDEX journal_started_idx ON embedding_backfill.journal (started);",
        update: "CREATE INDEX journal_started_idx ON embedding_backfill.journal (started);",
        gap: "journal_started_idx",
    },
    Change {
        now: "END AS content_md5",
        next: "END AS content_md5, r.at AS since",
        update: "@CREATE VIEW embedding_backfill.rejects",
        gap: "since",
    },
    Change {
        now: "PERFORM @extschema@.embed_keep_fresh_off(relation);",
        next: "-- Once more.\n    PERFORM @extschema@.embed_keep_fresh_off(relation);",
        update: "@CREATE FUNCTION @extschema@.embed_keep_fresh(",
        gap: "Once more",
    },
    Change {
        now: "'runs that work at the moment: how far, how fast, how long, and why they wait'",
        next: "'runs that work'",
        update: "COMMENT ON VIEW embedding_backfill.progress IS 'runs that work';",
        gap: "progress, comment",
    },
    Change {
        now: "GRANT EXECUTE ON FUNCTION @extschema@.embed_plan(regclass, integer, text, name, text, text) TO PUBLIC;",
        next: "REVOKE EXECUTE ON FUNCTION @extschema@.embed_plan(regclass, integer, text, name, text, text) FROM PUBLIC;",
        update: "REVOKE EXECUTE ON FUNCTION @extschema@.embed_plan(regclass, integer, text, name, text, text) FROM PUBLIC;",
        gap: "pg_catalog.text), rights: ",
    },
    Change {
        now: "-- Without what is about dropped tables,",
        next: "SELECT pg_catalog.pg_extension_config_dump('embedding_backfill.stop_requests', '');\n-- Without what is about dropped tables,",
        update: "SELECT pg_catalog.pg_extension_config_dump('embedding_backfill.stop_requests', '');",
        gap: "dumps embedding_backfill.stop_requests",
    },
    Change {
        now: "-- One batch in the caller's transaction\n",
        next: "CREATE FUNCTION embedding_backfill.host() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''here''';\n",
        update: "CREATE FUNCTION embedding_backfill.host() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''here''';",
        gap: "embedding_backfill.host()",
    },
    Change {
        now: "GRANT SELECT ON embedding_backfill.rejects TO PUBLIC;",
        next: "",
        update: "REVOKE SELECT ON embedding_backfill.rejects FROM PUBLIC;",
        gap: "embedding_backfill.rejects, rights",
    },
];

/// The install script of the next version.
fn next_script() -> String {
    CHANGES.iter().fold(this_script(), |script, change| {
        assert_eq!(script.matches(change.now).count(), 1, "{}", change.now);
        script.replace(change.now, change.next)
    })
}

impl Change {
    fn update(&self, next: &str) -> String {
        let Some(beginning) = self.update.strip_prefix('@') else {
            return self.update.to_owned();
        };
        let statement = &next[next.find(beginning).expect("the next version has it")..];
        let end = match beginning.contains("FUNCTION") {
            true => "\n$function$;",
            false => ";",
        };
        let end = statement.find(end).expect("it ends") + end.len();
        statement[..end].replacen("CREATE", "CREATE OR REPLACE", 1)
    }
}

/// An update script with all changes but this one.
fn update_script(without: Option<usize>) -> String {
    let next = next_script();
    let changes = CHANGES.iter().enumerate();
    let kept = changes.filter(|(number, _)| Some(*number) != without);
    kept.map(|(_, change)| change.update(&next) + "\n")
        .collect()
}

/// A version that only this story knows.
fn name(story: &str) -> String {
    format!("{}.{story}.{}", this_version(), std::process::id())
}

/// What the catalog says of the next version, installed or updated to; nothing of it stays.
fn members(session: &mut Session, first: &str, then: Option<&str>) -> Members {
    session.run(&format!(
        "BEGIN; CREATE EXTENSION {EXTENSION} VERSION '{first}'"
    ));
    if let Some(then) = then {
        update(session, then);
    }
    let members = Members::of(session, EXTENSION);
    session.run("ROLLBACK");
    members
}

#[test]
fn an_update_that_has_all_changes_passes() {
    let (this, next) = (this_version(), name("passes"));
    let mut scripts = Scripts::default();
    scripts.add(&next, &next_script());
    scripts.add(&format!("{this}--{next}"), &update_script(None));
    survives(&this, &next);
}

#[test]
fn an_update_that_forgets_a_change_is_found() {
    let (this, next) = (this_version(), name("forgets"));
    let mut scripts = Scripts::default();
    scripts.add(&next, &next_script());
    let db = installed(&this);
    let mut session = db.session();
    session.run(&format!("DROP EXTENSION {EXTENSION}"));
    let fresh = members(&mut session, &next, None);
    for (number, change) in CHANGES.iter().enumerate() {
        let gap = format!("{next}.{number}");
        scripts.add(&format!("{this}--{gap}"), &update_script(Some(number)));
        let differences = members(&mut session, &this, Some(&gap)).differences(&fresh);
        assert!(
            differences.iter().any(|found| found.contains(change.gap)),
            "without {:?} only this differs: {differences:#?}",
            change.update
        );
    }
}

// The catalog of a fresh installation looks the same, but what the user granted is gone.
#[test]
fn an_update_that_takes_grants_away_is_found() {
    let (this, next) = (this_version(), name("grants"));
    let script = this_script();
    let begin = script
        .find("CREATE FUNCTION @extschema@.embed_missing(")
        .expect("there is one batch");
    let end = "REVOKE EXECUTE ON FUNCTION @extschema@.embed_missing(regclass, integer, text, name, text, text) FROM PUBLIC;";
    let again = &script[begin..script.find(end).expect("it is not everybody's") + end.len()];
    let update = format!(
        "DROP FUNCTION @extschema@.embed_missing(regclass, integer, text, name, text, text);\n{again}"
    );
    let mut scripts = Scripts::default();
    scripts.add(&next, &script);
    scripts.add(&format!("{this}--{next}"), &update);
    fails(&this, &next, "permission denied for function embed_missing");
}

// All rights that the function has become the extension's own then, so that pg_dump leaves the user's grant out.
#[test]
fn an_update_that_takes_grants_for_its_own_is_found() {
    let (this, next) = (this_version(), name("swallows"));
    let mut scripts = Scripts::default();
    scripts.add(&next, &this_script());
    scripts.add(
        &format!("{this}--{next}"),
        "REVOKE EXECUTE ON FUNCTION @extschema@.embed_missing(regclass, integer, text, name, text, text) FROM PUBLIC;",
    );
    fails(&this, &next, "rights at first");
}

#[test]
fn an_update_that_loses_a_run_is_found() {
    let (this, next) = (this_version(), name("loses"));
    let mut scripts = Scripts::default();
    scripts.add(&next, &this_script());
    scripts.add(
        &format!("{this}--{next}"),
        "DELETE FROM embedding_backfill.journal WHERE run = 1;",
    );
    fails(&this, &next, "a run or a rejected row is gone");
}

#[track_caller]
fn fails(from: &str, to: &str, why: &str) {
    let found = catch_unwind(|| survives(from, to)).expect_err("it must not pass");
    let found = found
        .downcast_ref::<String>()
        .expect("an assertion says it");
    assert!(found.contains(why), "{found}");
}
