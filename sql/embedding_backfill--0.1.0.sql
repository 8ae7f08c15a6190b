\echo Use "CREATE EXTENSION embedding_backfill CASCADE" to load this file. \quit

-- What users call is in the schema that CREATE EXTENSION chose; the journal, and what users don't
-- call, is in this one.
CREATE SCHEMA embedding_backfill;
COMMENT ON SCHEMA embedding_backfill IS 'journal and internals of the extension embedding_backfill';
GRANT USAGE ON SCHEMA embedding_backfill TO PUBLIC;

-- The journal. The library writes it with the rights of the extension's owner; others read it through
-- the views below, each row only by those who may read the table that it is about.

CREATE TABLE embedding_backfill.journal (
    run bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    function text NOT NULL,
    run_by name NOT NULL,
    pid integer NOT NULL,
    lock_key bigint NOT NULL,
    relation regclass NOT NULL,
    relation_name text NOT NULL,
    embedding_column name NOT NULL,
    model text NOT NULL,
    dimensions integer NOT NULL,
    task_type text NOT NULL,
    content text NOT NULL,
    source_filter text NOT NULL,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'interrupted')),
    reason text,
    waiting_for text,
    started timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    updated timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    finished timestamptz,
    pending bigint NOT NULL,
    blank bigint NOT NULL,
    embedded bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    tokens bigint NOT NULL DEFAULT 0,
    cost numeric(20, 6) NOT NULL DEFAULT 0,
    requests bigint NOT NULL DEFAULT 0,
    retries bigint NOT NULL DEFAULT 0,
    quota_refusals bigint NOT NULL DEFAULT 0,
    waited interval NOT NULL DEFAULT '0'
) WITH (fillfactor = 70);
COMMENT ON TABLE embedding_backfill.journal IS 'one row a run, as the view runs shows it';
COMMENT ON SEQUENCE embedding_backfill.journal_run_seq IS 'numbers of runs';
CREATE INDEX journal_relation_idx ON embedding_backfill.journal (relation, embedding_column, run);
REVOKE ALL ON TABLE embedding_backfill.journal FROM PUBLIC;

CREATE TABLE embedding_backfill.rejected (
    relation regclass NOT NULL,
    embedding_column name NOT NULL,
    model text NOT NULL,
    content_md5 text NOT NULL,
    key jsonb,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (relation, embedding_column, model, content_md5)
);
COMMENT ON TABLE embedding_backfill.rejected IS 'contents that are not sent again, as the view rejects shows them';
REVOKE ALL ON TABLE embedding_backfill.rejected FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('embedding_backfill.journal', '');
SELECT pg_catalog.pg_extension_config_dump('embedding_backfill.journal_run_seq', '');
SELECT pg_catalog.pg_extension_config_dump('embedding_backfill.rejected', '');

-- A run that says it is running is so while its session holds the column's lock, and only the newest
-- of the column can be that one.
CREATE VIEW embedding_backfill.runs WITH (security_barrier) AS
SELECT j.run,
       j.function,
       j.run_by,
       j.relation,
       j.relation_name,
       j.embedding_column,
       j.model,
       j.dimensions,
       j.task_type,
       CASE
           WHEN j.state OPERATOR(pg_catalog.<>) 'running' THEN j.state
           WHEN EXISTS (
               SELECT
               FROM pg_catalog.pg_locks AS l
               WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory'
                 AND l.granted
                 AND l.mode OPERATOR(pg_catalog.=) 'ExclusiveLock'
                 AND l.pid OPERATOR(pg_catalog.=) j.pid
                 AND l.database OPERATOR(pg_catalog.=) (
                     SELECT d.oid FROM pg_catalog.pg_database AS d
                     WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
                 AND (l.classid::bigint OPERATOR(pg_catalog.<<) 32) OPERATOR(pg_catalog.|) l.objid::bigint
                     OPERATOR(pg_catalog.=) j.lock_key)
               AND NOT EXISTS (
               SELECT
               FROM embedding_backfill.journal AS later
               WHERE later.lock_key OPERATOR(pg_catalog.=) j.lock_key
                 AND later.function OPERATOR(pg_catalog.=) j.function
                 AND later.run OPERATOR(pg_catalog.>) j.run)
               THEN 'running'
           ELSE 'interrupted'
       END AS state,
       j.reason,
       j.waiting_for,
       j.started,
       j.updated,
       j.finished,
       j.pending,
       j.blank,
       j.embedded,
       j.rejected,
       j.tokens,
       j.cost,
       j.requests,
       j.retries,
       j.quota_refusals,
       j.waited,
       j.content,
       j.source_filter,
       j.pid
FROM embedding_backfill.journal AS j
WHERE pg_catalog.pg_has_role(j.run_by, 'USAGE')
   OR pg_catalog.has_table_privilege(j.relation::oid, 'SELECT');
COMMENT ON VIEW embedding_backfill.runs IS 'one row a run: who, what, when, how it ended, and what it cost';
COMMENT ON COLUMN embedding_backfill.runs.state IS 'running, done, failed, or interrupted where its session ended before it did';
COMMENT ON COLUMN embedding_backfill.runs.reason IS 'why it ended: done, the limit that was reached, or the error';
COMMENT ON COLUMN embedding_backfill.runs.pending IS 'rows to embed when it began';
COMMENT ON COLUMN embedding_backfill.runs.blank IS 'rows without a vector whose content is NULL, empty or only white space';
COMMENT ON COLUMN embedding_backfill.runs.tokens IS 'tokens billed; an upper bound for models that do not tell';
COMMENT ON COLUMN embedding_backfill.runs.cost IS 'US dollars';
COMMENT ON COLUMN embedding_backfill.runs.waited IS 'time in which a request waited for pace, quota or back-off';
GRANT SELECT ON embedding_backfill.runs TO PUBLIC;

CREATE VIEW embedding_backfill.progress WITH (security_barrier) AS
SELECT r.run,
       r.relation,
       r.embedding_column,
       r.run_by,
       r.pid,
       r.embedded,
       r.pending,
       pg_catalog.round(100.0 OPERATOR(pg_catalog.*) r.embedded
           OPERATOR(pg_catalog./) NULLIF(r.pending, 0), 1) AS percent,
       pg_catalog.round(r.embedded OPERATOR(pg_catalog./) r.seconds, 1) AS rows_per_second,
       pg_catalog.make_interval(secs => pg_catalog.round(
           (GREATEST(r.pending OPERATOR(pg_catalog.-) r.embedded, 0) OPERATOR(pg_catalog.*) r.seconds)
           OPERATOR(pg_catalog./) NULLIF(r.embedded, 0))::double precision) AS eta,
       r.cost,
       r.waiting_for
FROM (
    SELECT runs.*,
           GREATEST(EXTRACT(epoch FROM runs.updated OPERATOR(pg_catalog.-) runs.started), 0.001) AS seconds
    FROM embedding_backfill.runs
    WHERE runs.state OPERATOR(pg_catalog.=) 'running') AS r;
COMMENT ON VIEW embedding_backfill.progress IS 'runs that work at the moment: how far, how fast, how long, and why they wait';
GRANT SELECT ON embedding_backfill.progress TO PUBLIC;

CREATE VIEW embedding_backfill.rejects WITH (security_barrier) AS
SELECT r.relation, r.embedding_column, r.model, r.key, r.reason, r.at, r.content_md5
FROM embedding_backfill.rejected AS r
WHERE pg_catalog.has_table_privilege(r.relation::oid, 'SELECT');
COMMENT ON VIEW embedding_backfill.rejects IS 'rows that were refused for their content; not sent again until it changes';
COMMENT ON COLUMN embedding_backfill.rejects.key IS 'primary key of the row, or its ctid then where it has none';
GRANT SELECT ON embedding_backfill.rejects TO PUBLIC;

-- One batch in the caller's transaction

CREATE FUNCTION @extschema@.embed_missing(
    relation regclass,
    batch integer DEFAULT 50,
    content text DEFAULT NULL,
    embedding_column name DEFAULT NULL,
    source_filter text DEFAULT NULL,
    model text DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'embed_missing_wrapper';
COMMENT ON FUNCTION @extschema@.embed_missing(regclass, integer, text, name, text, text) IS
'embeds up to batch rows whose embedding is NULL, in this transaction; returns how many, 0 when none is left';
-- It spends money and sends data out.
REVOKE EXECUTE ON FUNCTION @extschema@.embed_missing(regclass, integer, text, name, text, text) FROM PUBLIC;

-- All rows, with a commit after each batch. The steps are open to all, so that a grant on the procedure
-- is enough: run_begin asks for it, and the others do nothing outside a run.

CREATE FUNCTION embedding_backfill.run_begin(
    relation regclass,
    batch integer,
    content text,
    embedding_column name,
    source_filter text,
    model text,
    max_duration interval,
    max_rows bigint,
    max_tokens bigint,
    max_cost numeric)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'run_begin_wrapper';
COMMENT ON FUNCTION embedding_backfill.run_begin(regclass, integer, text, name, text, text, interval, bigint, bigint, numeric) IS
'checks the call and says the price; false when another run fills the column, NULL to ask again after run_wait';

CREATE FUNCTION embedding_backfill.run_step()
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'run_step_wrapper';
COMMENT ON FUNCTION embedding_backfill.run_step() IS
'writes the vectors that have arrived and sends the next rows; false when the run is over';

CREATE PROCEDURE embedding_backfill.run_wait()
LANGUAGE c
AS 'MODULE_PATHNAME', 'run_wait_wrapper';
COMMENT ON PROCEDURE embedding_backfill.run_wait() IS
'commits, then waits for an answer without snapshot, transaction ID or lock on a table';

CREATE FUNCTION embedding_backfill.run_end(
    OUT embedded bigint,
    OUT remaining bigint,
    OUT stopped_because text)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'run_end_wrapper';
COMMENT ON FUNCTION embedding_backfill.run_end() IS
'ends the run: its summary, or the error that ended it early';

-- A procedure that commits can have neither a search_path of its own nor SECURITY DEFINER, so every
-- name in it is qualified and no operator is used.
CREATE PROCEDURE @extschema@.embed_all_missing(
    relation regclass,
    batch integer DEFAULT 50,
    content text DEFAULT NULL,
    embedding_column name DEFAULT NULL,
    source_filter text DEFAULT NULL,
    model text DEFAULT NULL,
    max_duration interval DEFAULT NULL,
    max_rows bigint DEFAULT NULL,
    max_tokens bigint DEFAULT NULL,
    max_cost numeric DEFAULT NULL,
    INOUT embedded bigint DEFAULT NULL,
    INOUT remaining bigint DEFAULT NULL,
    INOUT stopped_because text DEFAULT NULL)
LANGUAGE plpgsql
AS $procedure$
DECLARE
    goes_on boolean;
BEGIN
    -- Commits, so that in a transaction block or a function it fails here, before anything is sent.
    CALL embedding_backfill.run_wait();
    -- Rows that others change meanwhile must be a reason to look again, not an error. First of all in
    -- each transaction, since even planning an expression takes a snapshot.
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    LOOP
        goes_on := embedding_backfill.run_begin(relation, batch, content, embedding_column,
            source_filter, model, max_duration, max_rows, max_tokens, max_cost);
        CALL embedding_backfill.run_wait();
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        EXIT WHEN goes_on IS NOT NULL;
    END LOOP;
    WHILE goes_on LOOP
        goes_on := embedding_backfill.run_step();
        CALL embedding_backfill.run_wait();
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    END LOOP;
    SELECT run.embedded, run.remaining, run.stopped_because
    INTO embedded, remaining, stopped_because
    FROM embedding_backfill.run_end() AS run;
END
$procedure$;
COMMENT ON PROCEDURE @extschema@.embed_all_missing(regclass, integer, text, name, text, text, interval, bigint, bigint, numeric, bigint, bigint, text) IS
'embeds every row whose embedding is NULL and whose content is not blank, committing as it goes';
-- It spends money and sends data out.
REVOKE EXECUTE ON PROCEDURE @extschema@.embed_all_missing(regclass, integer, text, name, text, text, interval, bigint, bigint, numeric, bigint, bigint, text) FROM PUBLIC;
