//! README's SQL is true: every ```sql block runs, in order, in one database with the tables that README speaks of.

use std::fs;

use google_standin::Config;
use support::{Chroma, Cluster, Db};

use crate::{demo_tables, mirror::store_of};

fn sql_blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in markdown.lines() {
        match &mut block {
            None if line.trim() == "```sql" => block = Some(String::new()),
            Some(_) if line.trim() == "```" => blocks.extend(block.take()),
            Some(sql) => *sql += &format!("{line}\n"),
            None => {}
        }
    }
    blocks
}

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"))
        .expect("there is a README.md")
}

// On the rows of the demo, as it says.
#[test]
fn what_it_shows_of_embed_verify_is_what_that_says() {
    let readme = readme();
    let (_, shown) = readme
        .split_once("SELECT * FROM embed_verify('memory_logs');\n```\n```text\n")
        .expect("the statement has its result below it");
    let (shown, _) = shown.split_once("```").expect("the block ends");
    let db = Db::fresh();
    let mut session = db.session();
    demo_tables::load(&mut session);
    session.embed_all("'memory_logs'").unwrap();
    let said = db.psql(&["-c", "SELECT * FROM embed_verify('memory_logs')"]);
    let table: Vec<&str> = said
        .stdout
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !line.starts_with('('))
        .collect();
    assert_eq!(shown.lines().collect::<Vec<_>>(), table);
}

#[test]
fn every_sql_block_runs() {
    let readme = readme();
    let blocks = sql_blocks(&readme);
    assert!(
        blocks.len() >= 4,
        "README has {} blocks of SQL",
        blocks.len()
    );

    // A server of its own, since README may speak of ALTER SYSTEM.
    let cluster = Cluster::start(&[], &[]);
    let db = Db::bare(&cluster, Config::default());
    // README's Chroma is at another port; what is set for the database counts for more.
    let store = store_of(&db, Chroma::shared());
    let mut session = db.session();
    // pg_cron needs a preloaded library; what is scheduled is kept and run at the end, each alone as pg_cron does it.
    session.run(
        "CREATE EXTENSION vector;
         CREATE SCHEMA cron;
         CREATE TABLE cron.job (name text, schedule text, command text);
         CREATE FUNCTION cron.schedule(text, text, text) RETURNS bigint BEGIN ATOMIC
             INSERT INTO cron.job VALUES ($1, $2, $3) RETURNING 1;
         END;
         CREATE TABLE memory_logs (id bigserial PRIMARY KEY, task text, agent text, date date, raw_data jsonb,
                                   user_id integer, project_id integer, embedding vector(768));
         CREATE TABLE mental_notes (id bigserial PRIMARY KEY, content text, embedding vector(768));
         INSERT INTO memory_logs (task, agent, date, raw_data, project_id)
             SELECT 'task ' || i, 'agent-01', current_date, jsonb_build_object('n', i), i % 10 FROM generate_series(1, 200) i;
         INSERT INTO mental_notes (content) VALUES ('one note')",
    );
    for block in blocks {
        let file = db.file("block.sql", &block, 0o644);
        let said = db.psql(&[
            "-v",
            "ON_ERROR_STOP=1",
            "-f",
            file.to_str().expect("paths are UTF-8"),
        ]);
        assert!(
            said.ok && !said.stderr.contains("WARNING"),
            "{block}\n{}",
            said.stderr
        );
    }
    for job in session.query("SELECT command FROM cron.job", &[]).unwrap() {
        let said = db.psql(&["-c", job.get("command")]);
        assert!(said.ok, "{said:?}");
    }
    assert_eq!(
        session.number("SELECT count(*) FROM memory_logs WHERE embedding IS NULL"),
        0
    );
    assert_eq!(
        store.count("memory_logs"),
        session.number("SELECT count(*) FROM memory_logs")
    );
}
