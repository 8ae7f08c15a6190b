//! What others do to the table of a schedule all the while: two who change it, and one who calls `embed_missing`. A server that
//! crashes is no news to them: they come back.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread::sleep,
    time::Duration,
};

use postgres::Error;
use support::{Db, Session};

use crate::moments::Dice;

use super::{
    plan::{Plan, below},
    table::CALLER,
    weather::POISON,
};

/// What the writers of a schedule share.
pub struct Writing {
    over: AtomicBool,
    /// Rows that were locked or given another place or content, so that their vector, if it is under way, is for nothing; at
    /// the most.
    pub touched: AtomicU64,
    /// Texts of calls of `embed_missing` that may have been paid for and not written; at the most.
    pub unwritten: AtomicU64,
    /// How often each of `CHANGES`, then each of what the second caller does, was done.
    pub done: [AtomicU64; KINDS],
}

pub const KINDS: usize = CHANGES.len() + SECOND_CALLS.len();

/// `{chosen}` are the tags of some rows that nobody else has locked, `{n}` a new number. Each statement does the same to the mirror.
pub const CHANGES: [(&str, &str); 11] = [
    (
        "new content",
        "WITH new AS (UPDATE logs SET body = '{n} of ' || tag{stale} WHERE tag IN ({chosen}) RETURNING tag, body)
         UPDATE mirror SET body = new.body FROM new WHERE mirror.tag = new.tag",
    ),
    (
        "vector taken away",
        "UPDATE logs SET embedding = NULL WHERE tag IN ({chosen})",
    ),
    (
        "other column",
        "WITH new AS (UPDATE logs SET note = '{n}' WHERE tag IN ({chosen}) RETURNING tag, note)
         UPDATE mirror SET note = new.note FROM new WHERE mirror.tag = new.tag",
    ),
    (
        "key",
        "WITH new AS (UPDATE logs SET id = -id WHERE tag IN ({chosen}) RETURNING tag, id)
         UPDATE mirror SET id = new.id FROM new WHERE mirror.tag = new.tag",
    ),
    (
        "partition",
        "WITH new AS (UPDATE logs SET shard = (shard + 1) % 3 WHERE tag IN ({chosen}) RETURNING tag, shard)
         UPDATE mirror SET shard = new.shard FROM new WHERE mirror.tag = new.tag",
    ),
    (
        "delete",
        "WITH gone AS (DELETE FROM logs WHERE tag IN ({chosen}) RETURNING tag)
         DELETE FROM mirror USING gone WHERE mirror.tag = gone.tag",
    ),
    (
        "insert",
        "WITH new AS (INSERT INTO logs SELECT i, i % 3, i, 'row ' || i, 'new' FROM generate_series({n}0, {n}4) i RETURNING *)
         INSERT INTO mirror SELECT tag, id, shard, body, note FROM new",
    ),
    (
        "nothing to embed",
        "WITH new AS (UPDATE logs SET body = E' \\n'{stale} WHERE tag IN ({chosen}) RETURNING tag, body)
         UPDATE mirror SET body = new.body FROM new WHERE mirror.tag = new.tag",
    ),
    (
        "content that is refused",
        "WITH new AS (UPDATE logs SET body = '{poison} {n} of ' || tag{stale} WHERE tag = (SELECT min(tag) FROM ({chosen}) c) RETURNING tag, body)
         UPDATE mirror SET body = new.body FROM new WHERE mirror.tag = new.tag",
    ),
    ("VACUUM", "VACUUM logs"),
    ("VACUUM FULL", "VACUUM FULL logs"),
];

pub const SECOND_CALLS: [&str; 3] = [
    "embed_missing",
    "embed_missing, rolled back",
    "embed_missing, cut short",
];

/// Ends the writers when it is dropped, so also when a check fails.
pub struct EndOfWriting<'a>(pub &'a Writing);

impl Drop for EndOfWriting<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Relaxed);
    }
}

impl Writing {
    pub fn new() -> Writing {
        Writing {
            over: AtomicBool::new(false),
            touched: AtomicU64::default(),
            unwritten: AtomicU64::default(),
            done: Default::default(),
        }
    }

    /// Changes rows, each of the changes in its own way, until it is over.
    pub fn change(&self, db: &Db, plan: &Plan, writer: u64) {
        let mut dice = Dice::new(plan.seed ^ (writer << 32));
        let mut numbers = (1..).map(|n| writer * 1_000_000 + n);
        // The last is what the server says of a row that has just moved to another partition.
        let expected = [SERVER_IS_GONE, &["55P03", "40001"]].concat();
        self.come_and_go(db, &expected, |session| {
            session.batch_execute("SET lock_timeout = '100ms'")?;
            while !self.over.load(Relaxed) {
                let pause = Pause::begin(db);
                let kind = below(&mut dice, CHANGES.len() as u64) as usize;
                let n = numbers.next().expect("it has no end");
                let statement = statement(CHANGES[kind].1, n, &mut dice, plan.kept_fresh);
                // Counted before: nobody knows what a crash has left of it.
                self.touched.fetch_add(most_touched(kind, plan), Relaxed);
                match below(&mut dice, 4) {
                    0 if !statement.starts_with("VACUUM") => {
                        session.batch_execute("BEGIN")?;
                        session.batch_execute(&statement)?;
                        pause.end();
                        let end = ["COMMIT", "ROLLBACK"][below(&mut dice, 2) as usize];
                        session.batch_execute(end)?;
                    }
                    _ => session.batch_execute(&statement)?,
                }
                self.done[kind].fetch_add(1, Relaxed);
                pause.end();
            }
            Ok(())
        });
    }

    /// Calls `embed_missing` until it is over.
    pub fn call(&self, db: &Db, plan: &Plan) {
        let mut dice = Dice::new(plan.seed);
        // Cut short, or what the API said.
        let expected = [
            SERVER_IS_GONE,
            &["57014", "58030", "38000", "53400", "28000"],
        ]
        .concat();
        self.come_and_go(db, &expected, |session| {
            session.batch_execute(&format!("SET application_name = '{CALLER}'"))?;
            while !self.over.load(Relaxed) {
                let kind = below(&mut dice, SECOND_CALLS.len() as u64) as usize;
                let rows = 1 + below(&mut dice, 6);
                let patience = [1500, 1500, 1 + below(&mut dice, 20)][kind];
                session.batch_execute(&format!("SET statement_timeout = {patience}"))?;
                self.unwritten.fetch_add(rows, Relaxed);
                self.done[CHANGES.len() + kind].fetch_add(1, Relaxed);
                session.batch_execute("BEGIN")?;
                let embedded = session.embed(&format!("'logs', {rows}, 'body'"))? as u64;
                session.batch_execute(["COMMIT", "ROLLBACK", "COMMIT"][kind])?;
                self.unwritten
                    .fetch_sub([rows, rows - embedded, rows][kind], Relaxed);
                sleep(BETWEEN_CALLS);
            }
            Ok(())
        });
    }

    /// Runs `work` until it is over, in a new session after each failure.
    fn come_and_go(
        &self,
        db: &Db,
        expected: &[&str],
        mut work: impl FnMut(&mut Session) -> Result<(), Error>,
    ) {
        while !self.over.load(Relaxed) {
            let Some(mut session) = db.try_session() else {
                Pause::begin(db).end();
                continue;
            };
            if let Err(error) = work(&mut session)
                && let Some(error) = error.as_db_error()
            {
                assert!(expected.contains(&error.code().code()), "{error:?}");
                sleep(BETWEEN_CALLS);
            }
        }
    }
}

/// A CALL waits for an `embed_missing` that is under way, and looks five times a second whether it is over.
const BETWEEN_CALLS: Duration = Duration::from_millis(300);

const SERVER_IS_GONE: &[&str] = &["57P01", "57P02", "57P03"];

/// Rows whose vector may be under way.
fn most_touched(kind: usize, plan: &Plan) -> u64 {
    match CHANGES[kind].0 {
        "VACUUM" | "insert" => 0,
        // All rows move, and those that are read ahead are found once more.
        "VACUUM FULL" => plan.read_ahead(plan.most_texts()),
        _ => CHOSEN,
    }
}

const CHOSEN: u64 = 4;

fn statement(change: &str, n: u64, dice: &mut Dice, kept_fresh: bool) -> String {
    let chosen = format!(
        "SELECT tag FROM logs WHERE tag % 29 = {} LIMIT {CHOSEN} FOR UPDATE SKIP LOCKED",
        below(dice, 29)
    );
    change
        .replace("{chosen}", &chosen)
        .replace("{n}", &n.to_string())
        .replace("{poison}", POISON)
        .replace(
            "{stale}",
            if kept_fresh { "" } else { ", embedding = NULL" },
        )
}

/// Until the API has got another request, or for a moment, so that writers are as fast as the run.
struct Pause<'a>(&'a Db<'a>, u64);

impl Pause<'_> {
    fn begin<'a>(db: &'a Db) -> Pause<'a> {
        Pause(db, db.api.stats().requests)
    }

    fn end(&self) {
        let Pause(db, before) = self;
        db.api
            .wait_until(Duration::from_millis(60), |stats| stats.requests > *before);
    }
}
