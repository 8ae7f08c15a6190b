//! Where a part is measured: a database, an API, and tables that start equal.

use std::time::Instant;

use google_standin::Config;
use support::{Cluster, Db, Finished, Process, Session};

use crate::{api::Api, cpu::Cpu};

/// Rows go out in requests of this many texts, of which 8 are in flight: the extension's default.
pub const BATCH: u32 = 100;
pub const CONCURRENCY: u32 = 8;
pub const DIMENSIONS: u32 = 768;

/// A server as one would run it, but for what would make two equal rounds differ: checkpoints and autovacuum come when they
/// are asked for.
pub const SETTINGS: [(&str, &str); 6] = [
    ("fsync", "on"),
    ("shared_buffers", "2GB"),
    ("checkpoint_timeout", "1h"),
    ("min_wal_size", "4GB"),
    ("max_wal_size", "32GB"),
    ("autovacuum", "off"),
];

/// Contents like those of a log: some 400 characters, with what JSON must escape and what is no ASCII here and there.
const WORDS: &str = "timeout retry deploy cache index vector naïve café \"quoted\" C:\\temp service gateway memory leak \
    found in worker pool after restart user reported slow search on mobile query plan changed since upgrade latency dropped \
    to 12 ms customer asked for refund order shipped twice logs rotated daily backup finished checksum mismatch on replica \
    failover took minutes alert silenced by agent – 数据";

pub fn cluster() -> Cluster {
    Cluster::start(&SETTINGS, &[])
}

/// Has the server write this much WAL and keep the files, as one that has run for some time: new ones cost more to write.
pub fn warm_wal(cluster: &Cluster, megabytes: u32) {
    let mut session = Session::connect(cluster.config("postgres", "postgres"));
    session.run(&format!(
        "SELECT pg_logical_emit_message(false, 'bench', repeat('x', 1048576)) FROM generate_series(1, {megabytes})"
    ));
    session.run("CHECKPOINT");
}

pub struct Lab<'c> {
    pub db: Db<'c>,
    pub api: Api,
    cluster: &'c Cluster,
    rows: u32,
}

/// What a piece of work took.
#[derive(Clone, Copy)]
pub struct Work {
    pub rows: u32,
    pub seconds: f64,
    /// Of the session's backend.
    pub backend: Cpu,
    /// Of a program that does it from outside.
    pub client_cpu: f64,
    pub api_cpu: f64,
    pub wal_bytes: f64,
}

impl Work {
    pub fn rate(&self) -> f64 {
        f64::from(self.rows) / self.seconds
    }
}

impl<'c> Lab<'c> {
    /// With as many contents as the largest table will have rows.
    pub fn new(cluster: &'c Cluster, rows: u32, api_flags: &[&str]) -> Lab<'c> {
        let db = Db::on(cluster, Config::default());
        let api = Api::start(&db.key(), api_flags);
        db.set("base_url", api.base_url());
        db.set("concurrency", &CONCURRENCY.to_string());
        let words = WORDS.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut session = db.session();
        session.run(&format!(
            "CREATE TABLE texts AS
             WITH dictionary AS (SELECT string_to_array($${words}$$, ' ') AS words)
             SELECT i::bigint AS id, 'Entry ' || i || ': ' || content AS content
             FROM generate_series(1, {rows}) AS i, dictionary,
                  LATERAL (SELECT string_agg(words[1 + (hashint8(i * 1000::bigint + j) & 65535) % cardinality(words)], ' ')
                           FROM generate_series(1, 66) AS j) AS text (content)"
        ));
        Lab {
            db,
            api,
            cluster,
            rows,
        }
    }

    /// How a program of another language finds the database.
    pub fn conninfo(&self) -> String {
        format!(
            "host={} dbname={} user=postgres",
            self.cluster.host().display(),
            self.db.name
        )
    }

    /// A new table `items` of so many rows without a vector, vacuumed, on disk.
    pub fn fresh_items(&self, rows: u32) {
        assert!(rows <= self.rows, "there are {} contents", self.rows);
        let mut session = self.db.session();
        session.run(&format!(
            "DROP TABLE IF EXISTS items;
             CREATE TABLE items (id bigint PRIMARY KEY, content text NOT NULL, embedding vector({DIMENSIONS}));
             INSERT INTO items SELECT id, content FROM texts WHERE id <= {rows} ORDER BY id"
        ));
        session.run("VACUUM (FREEZE, ANALYZE) items");
        session.run("CHECKPOINT");
    }

    /// What one statement takes, or several, in a session of their own that has done nothing before.
    pub fn work(&self, rows: u32, work: impl FnOnce(&mut Session)) -> Work {
        let mut session = self.db.session();
        let backend = Process::of(&mut session).pid();
        let mut other = self.db.session();
        let (wal, cpu, api) = (written(&mut other), Cpu::of(backend), self.api.cpu());
        let began = Instant::now();
        work(&mut session);
        let seconds = began.elapsed().as_secs_f64();
        Work {
            rows,
            seconds,
            backend: Cpu::of(backend).since(cpu),
            client_cpu: 0.0,
            api_cpu: self.api.cpu() - api,
            wal_bytes: written(&mut other) - wal,
        }
    }

    /// What `CALL embed_all_missing` takes for these rows of `items`.
    pub fn call(&self, rows: u32) -> Work {
        self.work(rows, |session| call(session, rows))
    }
}

pub fn call(session: &mut Session, rows: u32) {
    let finished = session
        .embed_all(&format!("'items', {BATCH}"))
        .unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(finished, Finished::done(rows.into(), 0));
}

/// Bytes of WAL so far.
fn written(session: &mut Session) -> f64 {
    session.number("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint") as f64
}
