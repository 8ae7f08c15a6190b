//! The table that a fault is tried on, and all that must be true of it whatever happens.

use google_standin::{Config, Standin};
use support::{Db, Finished, Session};

use crate::fixtures::{filled, logs};

pub const ROWS: u32 = 30;

/// Texts in a request.
pub const BATCH: u32 = 10;

/// Rows, what came of them so far, and a stand-in of their own in a schema of their own.
pub struct Table {
    pub api: Standin,
    pub session: Session,
    /// All that must not change.
    others: String,
    first_run: i64,
}

impl Table {
    pub fn new(db: &Db, name: &str, config: Config) -> Table {
        let api = Standin::start(Config {
            key: db.key(),
            ..config
        });
        let mut session = db.session();
        session.run(&format!(
            "CREATE SCHEMA \"{name}\"; SET search_path = \"{name}\", public;
             SET embedding_backfill.base_url = '{}';
             SET embedding_backfill.concurrency = 1",
            api.base_url()
        ));
        logs(&mut session, ROWS);
        session.run(
            "ALTER TABLE logs ADD other integer DEFAULT 7, ADD at timestamptz DEFAULT now();
             CREATE TABLE original AS TABLE logs;
             CREATE TABLE written (id bigint);
             CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO written VALUES (new.id); RETURN NULL; END $$;
             CREATE TRIGGER note_it AFTER UPDATE ON logs FOR EACH ROW WHEN (new.embedding IS NOT NULL)
                 EXECUTE FUNCTION note_it()",
        );
        let mut table = Table {
            api,
            session,
            others: String::new(),
            first_run: 0,
        };
        table.others = table.others_now();
        table
    }

    /// No row has a vector, and nothing was written or told so far. The rows are new, since an update would move them, and what is
    /// in which request would be a matter of luck.
    pub fn empty(&mut self) {
        self.session
            .run("TRUNCATE logs, written; INSERT INTO logs TABLE original");
        self.session.notices();
        self.first_run = 1 + self.last_run();
    }

    /// How many rows have a vector, after all that must be true was found true.
    #[track_caller]
    pub fn sound(&mut self, right: impl Fn(&mut Session) -> usize) -> u32 {
        let session = &mut self.session;
        let count = filled(session, "logs");
        assert_eq!(right(session), count as usize);
        assert_eq!(session.number("SELECT count(*) FROM written"), count);
        assert_eq!(
            session.number("SELECT count(DISTINCT id) FROM written"),
            count,
            "a row was written twice"
        );
        let told = format!(
            "SELECT coalesce(sum(embedded), 0)::int8 FROM embedding_backfill.runs
             WHERE relation = 'logs'::regclass AND run >= {}",
            self.first_run
        );
        assert_eq!(session.number(&told), count, "the journal says otherwise");
        assert_eq!(self.others_now(), self.others);
        count as u32
    }

    /// The CALL that all of this is about.
    pub fn embed_all(&mut self) -> Result<Finished, postgres::Error> {
        self.session.embed_all(&format!("'logs', {BATCH}"))
    }

    /// State, reason, retries and waits for a quota of the last run.
    pub fn last(&mut self) -> (String, String, i64, i64) {
        let row = self
            .session
            .query_one(
                "SELECT state, reason, retries, quota_refusals FROM embedding_backfill.runs
                 WHERE relation = 'logs'::regclass ORDER BY run DESC LIMIT 1",
                &[],
            )
            .unwrap();
        (row.get(0), row.get(1), row.get(2), row.get(3))
    }

    fn others_now(&mut self) -> String {
        self.session.text(
            "SELECT count(*) || md5(string_agg((id, body, other, at)::text, ',' ORDER BY id)) FROM logs",
        )
    }

    fn last_run(&mut self) -> i64 {
        self.session
            .number("SELECT coalesce(max(run), 0) FROM embedding_backfill.runs")
    }
}
