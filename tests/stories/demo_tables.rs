//! The two tables of the demo with their 488 rows, made by the statements of `demo/tables.sql` itself.

use std::fs;

use support::Session;

/// What `psql -f tables.sql` does, but for its own commands: the rows come in through the client.
pub fn load(session: &mut Session) {
    let script = demo("tables.sql");
    session.run(between(
        &script,
        "CREATE TABLE memory_logs",
        "\\set ECHO none",
    ));
    session.run(between(&script, "CREATE TEMPORARY TABLE", "-- One JSON"));
    for (table, file) in [
        ("log_file", "memory_logs.jsonl"),
        ("note_file", "mental_notes.jsonl"),
    ] {
        let entries = demo(&format!("data/{file}"));
        let entries: Vec<&str> = entries.lines().collect();
        let insert = format!("INSERT INTO {table} SELECT unnest($1::text[]::jsonb[])");
        session.execute(&insert, &[&entries]).unwrap();
    }
    session.run(&script[script.find("INSERT INTO memory_logs").unwrap()..]);
}

fn demo(file: &str) -> String {
    let path = format!("{}/../demo/{file}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).unwrap()
}

fn between<'s>(script: &'s str, begin: &str, end: &str) -> &'s str {
    let from = script.find(begin).unwrap();
    &script[from..from + script[from..].find(end).unwrap()]
}
