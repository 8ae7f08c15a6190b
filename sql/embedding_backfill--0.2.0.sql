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
    model text,
    dimensions integer NOT NULL,
    task_type text,
    content text NOT NULL,
    source_filter text NOT NULL,
    state text NOT NULL DEFAULT 'running' CHECK (
        state OPERATOR(pg_catalog.=) ANY (ARRAY['running', 'done', 'failed', 'interrupted'])),
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
    waited interval NOT NULL DEFAULT '0',
    collection text,
    mirrored bigint NOT NULL DEFAULT 0,
    removed bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
COMMENT ON TABLE embedding_backfill.journal IS 'one row a run, as the view runs shows it';
COMMENT ON SEQUENCE embedding_backfill.journal_run_seq IS 'numbers of runs';
CREATE INDEX journal_column_idx ON embedding_backfill.journal (lock_key, run);
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

CREATE TABLE embedding_backfill.stop_requests (
    run bigint PRIMARY KEY REFERENCES embedding_backfill.journal ON DELETE CASCADE
);
COMMENT ON TABLE embedding_backfill.stop_requests IS 'runs that embed_stop told to end';
REVOKE ALL ON TABLE embedding_backfill.stop_requests FROM PUBLIC;

-- Without what is about dropped tables, since in another database their OIDs may be other tables, and
-- about temporary ones, whose names mean nothing there: the restore would fail.
SELECT pg_catalog.pg_extension_config_dump('embedding_backfill.journal',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) relation
         AND c.relpersistence OPERATOR(pg_catalog.<>) ''t'')');
SELECT pg_catalog.pg_extension_config_dump('embedding_backfill.journal_run_seq', '');
SELECT pg_catalog.pg_extension_config_dump('embedding_backfill.rejected',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) relation
         AND c.relpersistence OPERATOR(pg_catalog.<>) ''t'')');

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
       j.pid,
       j.collection,
       j.mirrored,
       j.removed
FROM embedding_backfill.journal AS j
WHERE pg_catalog.has_any_column_privilege(j.relation::pg_catalog.oid, 'SELECT')
   OR EXISTS (
       SELECT
       FROM pg_catalog.pg_roles AS role
       WHERE role.rolname OPERATOR(pg_catalog.=) j.run_by
         AND pg_catalog.pg_has_role(role.oid, 'USAGE'))
   OR EXISTS (
       SELECT
       FROM pg_catalog.pg_extension AS e
       WHERE e.extname OPERATOR(pg_catalog.=) 'embedding_backfill'
         AND pg_catalog.pg_has_role(e.extowner, 'USAGE'));
COMMENT ON VIEW embedding_backfill.runs IS 'one row a run: who, what, when, how it ended, and what it cost';
COMMENT ON COLUMN embedding_backfill.runs.state IS 'running, done, failed, or interrupted by a cancel, by another error of PostgreSQL''s own, or by the end of its session';
COMMENT ON COLUMN embedding_backfill.runs.reason IS 'why it ended: done, the limit that was reached, or the error; NULL where it was interrupted';
COMMENT ON COLUMN embedding_backfill.runs.model IS 'NULL for mirror_to_chroma, which embeds nothing';
COMMENT ON COLUMN embedding_backfill.runs.task_type IS 'NULL for mirror_to_chroma';
COMMENT ON COLUMN embedding_backfill.runs.pending IS 'rows to embed, or for mirror_to_chroma to mirror, when it began';
COMMENT ON COLUMN embedding_backfill.runs.blank IS 'rows without a vector whose content is NULL, empty or only white space';
COMMENT ON COLUMN embedding_backfill.runs.tokens IS 'tokens billed; an upper bound for models that do not tell';
COMMENT ON COLUMN embedding_backfill.runs.cost IS 'US dollars';
COMMENT ON COLUMN embedding_backfill.runs.waited IS 'time in which a request waited for pace, quota or back-off';
COMMENT ON COLUMN embedding_backfill.runs.collection IS 'collection of ChromaDB that it mirrored to; NULL where to none';
COMMENT ON COLUMN embedding_backfill.runs.mirrored IS 'records that the collection took';
COMMENT ON COLUMN embedding_backfill.runs.removed IS 'records that were deleted from the collection, since their row is gone or has no vector';
GRANT SELECT ON embedding_backfill.runs TO PUBLIC;

CREATE VIEW embedding_backfill.progress WITH (security_barrier) AS
SELECT r.run,
       r.relation,
       r.embedding_column,
       r.run_by,
       r.pid,
       r.embedded,
       r.pending,
       CASE WHEN r.pending OPERATOR(pg_catalog.<>) 0 THEN
           LEAST(pg_catalog.round(100.0 OPERATOR(pg_catalog.*) r.done OPERATOR(pg_catalog./) r.pending, 1), 100.0)
       END AS percent,
       pg_catalog.round(r.done OPERATOR(pg_catalog./) r.seconds, 1) AS rows_per_second,
       CASE WHEN r.done OPERATOR(pg_catalog.<>) 0 THEN pg_catalog.make_interval(secs => pg_catalog.round(
           (GREATEST(r.pending OPERATOR(pg_catalog.-) r.done, 0) OPERATOR(pg_catalog.*) r.seconds)
           OPERATOR(pg_catalog./) r.done)::double precision)
       END AS eta,
       r.cost,
       r.waiting_for,
       r.collection,
       r.mirrored,
       r.removed
FROM (
    SELECT runs.*,
           CASE WHEN runs.function OPERATOR(pg_catalog.=) 'mirror_to_chroma'
               THEN runs.mirrored ELSE runs.embedded END AS done,
           GREATEST(EXTRACT(epoch FROM runs.updated OPERATOR(pg_catalog.-) runs.started), 0.001) AS seconds
    FROM embedding_backfill.runs
    WHERE runs.state OPERATOR(pg_catalog.=) 'running') AS r;
COMMENT ON VIEW embedding_backfill.progress IS 'runs that work at the moment: how far, how fast, how long, and why they wait';
GRANT SELECT ON embedding_backfill.progress TO PUBLIC;

-- The key and the content of a row are told to those who may read that row: a policy may hide it from them,
-- and the right to read one column is none to read another. Of a table that is gone, only the owner sees any.
CREATE VIEW embedding_backfill.rejects WITH (security_barrier) AS
SELECT r.relation,
       r.embedding_column,
       r.model,
       CASE WHEN NOT pg_catalog.row_security_active(r.relation::pg_catalog.oid)
             AND (COALESCE(pg_catalog.has_table_privilege(r.relation::pg_catalog.oid, 'SELECT'), true)
               OR NOT EXISTS (
                   SELECT
                   FROM pg_catalog.jsonb_object_keys(r.key) AS k (name)
                   WHERE NOT EXISTS (
                       SELECT
                       FROM pg_catalog.pg_attribute AS a
                       WHERE a.attrelid OPERATOR(pg_catalog.=) r.relation::pg_catalog.oid
                         AND a.attname OPERATOR(pg_catalog.=) k.name
                         AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT'))))
           THEN r.key END AS key,
       r.reason,
       r.at,
       CASE WHEN NOT pg_catalog.row_security_active(r.relation::pg_catalog.oid)
             AND COALESCE(pg_catalog.has_table_privilege(r.relation::pg_catalog.oid, 'SELECT'), true)
           THEN r.content_md5 END AS content_md5
FROM embedding_backfill.rejected AS r
WHERE pg_catalog.has_any_column_privilege(r.relation::pg_catalog.oid, 'SELECT')
   OR EXISTS (
       SELECT
       FROM pg_catalog.pg_extension AS e
       WHERE e.extname OPERATOR(pg_catalog.=) 'embedding_backfill'
         AND pg_catalog.pg_has_role(e.extowner, 'USAGE'));
COMMENT ON VIEW embedding_backfill.rejects IS 'rows that were refused for their content; not sent again until it changes';
COMMENT ON COLUMN embedding_backfill.rejects.key IS 'primary key of the row, or its ctid then where it has none; NULL for those who may not read it';
COMMENT ON COLUMN embedding_backfill.rejects.content_md5 IS 'md5 of what was refused; NULL for those who may not read the table, or not all of its rows';
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

CREATE FUNCTION embedding_backfill.run_mirror(collection text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'run_mirror_wrapper';
COMMENT ON FUNCTION embedding_backfill.run_mirror(text) IS
'has the run that has just begun put its rows into a collection of ChromaDB; only for those who may call mirror_to_chroma';

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
    mirror text DEFAULT NULL,
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
        IF goes_on AND mirror IS NOT NULL THEN
            PERFORM embedding_backfill.run_mirror(mirror);
        END IF;
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
COMMENT ON PROCEDURE @extschema@.embed_all_missing(regclass, integer, text, name, text, text, interval, bigint, bigint, numeric, text, bigint, bigint, text) IS
'embeds every row whose embedding is NULL and whose content is not blank, committing as it goes';
-- It spends money and sends data out.
REVOKE EXECUTE ON PROCEDURE @extschema@.embed_all_missing(regclass, integer, text, name, text, text, interval, bigint, bigint, numeric, text, bigint, bigint, text) FROM PUBLIC;

-- The mirror: vectors also in a collection of ChromaDB. Its loop is that of embed_all_missing, with the same steps.

CREATE FUNCTION embedding_backfill.mirror_begin(
    relation regclass,
    collection text,
    content text,
    embedding_column name,
    key text,
    metadata text[],
    source_filter text,
    batch integer,
    max_duration interval)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'mirror_begin_wrapper';
COMMENT ON FUNCTION embedding_backfill.mirror_begin(regclass, text, text, name, text, text[], text, integer, interval) IS
'checks the call and says what there is to do; false when another run has the column, NULL to ask again after run_wait';

CREATE FUNCTION embedding_backfill.mirror_end(
    OUT mirrored bigint,
    OUT removed bigint)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'mirror_end_wrapper';
COMMENT ON FUNCTION embedding_backfill.mirror_end() IS
'ends the mirror''s run: its summary, or the error that ended it early';

CREATE PROCEDURE @extschema@.mirror_to_chroma(
    relation regclass,
    collection text,
    content text DEFAULT NULL,
    embedding_column name DEFAULT NULL,
    key text DEFAULT NULL,
    metadata text[] DEFAULT NULL,
    source_filter text DEFAULT NULL,
    batch integer DEFAULT 500,
    max_duration interval DEFAULT NULL,
    INOUT mirrored bigint DEFAULT NULL,
    INOUT removed bigint DEFAULT NULL)
LANGUAGE plpgsql
AS $procedure$
DECLARE
    goes_on boolean;
BEGIN
    -- As in embed_all_missing.
    CALL embedding_backfill.run_wait();
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    LOOP
        goes_on := embedding_backfill.mirror_begin(relation, collection, content, embedding_column,
            key, metadata, source_filter, batch, max_duration);
        CALL embedding_backfill.run_wait();
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        EXIT WHEN goes_on IS NOT NULL;
    END LOOP;
    WHILE goes_on LOOP
        goes_on := embedding_backfill.run_step();
        CALL embedding_backfill.run_wait();
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    END LOOP;
    SELECT run.mirrored, run.removed
    INTO mirrored, removed
    FROM embedding_backfill.mirror_end() AS run;
END
$procedure$;
COMMENT ON PROCEDURE @extschema@.mirror_to_chroma(regclass, text, text, name, text, text[], text, integer, interval, bigint, bigint) IS
'makes a collection of ChromaDB hold exactly the rows of a table that have a vector: upserts them, then removes what is no such row';
-- It sends data out, and deletes what is elsewhere.
REVOKE EXECUTE ON PROCEDURE @extschema@.mirror_to_chroma(regclass, text, text, name, text, text[], text, integer, interval, bigint, bigint) FROM PUBLIC;

-- Before and after: the price, the proof

CREATE FUNCTION @extschema@.embed_plan(
    relation regclass,
    batch integer DEFAULT 50,
    content text DEFAULT NULL,
    embedding_column name DEFAULT NULL,
    source_filter text DEFAULT NULL,
    model text DEFAULT NULL)
RETURNS TABLE (
    table_name text,
    column_name text,
    column_type text,
    model_name text,
    dimensions integer,
    content_sql text,
    rows_total bigint,
    rows_embedded bigint,
    rows_pending bigint,
    rows_blank bigint,
    rows_rejected bigint,
    rows_outside_filter bigint,
    tokens bigint,
    requests bigint,
    cost_usd numeric,
    duration interval,
    wal text,
    disk text,
    warnings text,
    sample text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'embed_plan_wrapper';
COMMENT ON FUNCTION @extschema@.embed_plan(regclass, integer, text, name, text, text) IS
'the dry run: what a backfill would send, cost and write; sends nothing';

CREATE FUNCTION @extschema@.embed_verify(
    relation regclass,
    sample integer DEFAULT 20,
    content text DEFAULT NULL,
    embedding_column name DEFAULT NULL,
    model text DEFAULT NULL)
RETURNS TABLE (check_name text, ok boolean, detail text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'embed_verify_wrapper';
COMMENT ON FUNCTION @extschema@.embed_verify(regclass, integer, text, name, text) IS
'the proof: what is left and why, and whether the vectors are right; embeds sample rows again, which costs as much';
-- It spends money and sends data out.
REVOKE EXECUTE ON FUNCTION @extschema@.embed_verify(regclass, integer, text, name, text) FROM PUBLIC;

-- Search. STABLE, since the same text has the same vector within a statement, so that an index can serve
-- ORDER BY embedding <=> embed_query(...). The library hands vectors over as bytea, whose form in memory
-- is a vector's. The type's name is not qualified: CREATE EXTENSION puts pgvector's schema, wherever it
-- is, behind our own on the search_path of this script.

CREATE FUNCTION @extschema@.embed_text(
    content text,
    task_type text DEFAULT 'RETRIEVAL_QUERY',
    model text DEFAULT NULL,
    dimensions integer DEFAULT NULL)
RETURNS vector
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'embed_text_wrapper';
COMMENT ON FUNCTION @extschema@.embed_text(text, text, text, integer) IS
'the vector of one text, of 768 dimensions unless told; the last 128 are remembered in the session';
-- It spends money and sends data out.
REVOKE EXECUTE ON FUNCTION @extschema@.embed_text(text, text, text, integer) FROM PUBLIC;

-- Open to all, so that a grant on embed_texts is enough: it asks for that.
CREATE FUNCTION embedding_backfill.embed_each(
    contents text[],
    task_type text,
    model text,
    dimensions integer)
RETURNS SETOF vector
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'embed_each_wrapper';
COMMENT ON FUNCTION embedding_backfill.embed_each(text[], text, text, integer) IS
'the vectors of several texts, in their order; only for those who may call embed_texts';

CREATE FUNCTION @extschema@.embed_texts(
    contents text[],
    task_type text DEFAULT 'RETRIEVAL_DOCUMENT',
    model text DEFAULT NULL,
    dimensions integer DEFAULT NULL)
RETURNS vector[]
LANGUAGE sql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE WHEN contents IS NOT NULL THEN (
        SELECT COALESCE(pg_catalog.array_agg(embedded.vector ORDER BY embedded.place), '{}')
        FROM embedding_backfill.embed_each(contents, task_type, model, dimensions)
             WITH ORDINALITY AS embedded (vector, place)) END
$function$;
COMMENT ON FUNCTION @extschema@.embed_texts(text[], text, text, integer) IS
'the vectors of several texts, in their order, in one request for each hundred';
-- It spends money and sends data out.
REVOKE EXECUTE ON FUNCTION @extschema@.embed_texts(text[], text, text, integer) FROM PUBLIC;

CREATE FUNCTION @extschema@.embed_query(
    relation regclass,
    query text,
    embedding_column name DEFAULT NULL,
    model text DEFAULT NULL)
RETURNS vector
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'embed_query_wrapper';
COMMENT ON FUNCTION @extschema@.embed_query(regclass, text, name, text) IS
'the vector of a question, to compare with the vectors of this column';
-- It spends money and sends data out.
REVOKE EXECUTE ON FUNCTION @extschema@.embed_query(regclass, text, name, text) FROM PUBLIC;

-- Runs and rejected rows

CREATE FUNCTION @extschema@.embed_stop(relation regclass)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'embed_stop_wrapper';
COMMENT ON FUNCTION @extschema@.embed_stop(regclass) IS
'tells a running embed_all_missing or mirror_to_chroma to end after the requests in flight; false where none runs';

CREATE FUNCTION @extschema@.embed_retry_rejected(relation regclass DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'embed_retry_rejected_wrapper';
COMMENT ON FUNCTION @extschema@.embed_retry_rejected(regclass) IS
'forgets rejected rows, so that the next run sends them again; returns how many';

-- Freshness: a row whose content changes loses its vector, and the next run embeds it again

CREATE FUNCTION embedding_backfill.forget_embedding()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    -- A key that is no column would be passed over, and old vectors would look fresh.
    PERFORM FROM pg_attribute AS a
    WHERE a.attrelid = TG_RELID AND a.attname = TG_ARGV[0]::name AND NOT a.attisdropped;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table % has no column "%" any more', TG_RELID::regclass, TG_ARGV[0]
            USING ERRCODE = 'undefined_column',
                  HINT = format('SELECT embed_keep_fresh(%L, ...); makes the trigger anew', TG_RELID::regclass);
    END IF;
    NEW := jsonb_populate_record(NEW, jsonb_build_object(TG_ARGV[0], NULL));
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION embedding_backfill.forget_embedding() IS
'trigger of embed_keep_fresh: sets the column that its argument names to NULL';

CREATE FUNCTION @extschema@.embed_keep_fresh_off(relation regclass)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    made record;
BEGIN
    IF relation IS NULL THEN
        RAISE EXCEPTION 'relation must not be NULL'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'name a table, such as ''memory_logs''';
    END IF;
    -- Tables below it have triggers of their own where they inherit, or were named themselves.
    FOR made IN
        WITH RECURSIVE tree (oid) AS (
            SELECT relation::oid
            UNION
            SELECT i.inhrelid FROM pg_inherits AS i JOIN tree ON i.inhparent = tree.oid)
        SELECT t.tgname AS name, t.tgrelid::regclass AS on_table
        FROM pg_trigger AS t JOIN tree ON t.tgrelid = tree.oid
        WHERE t.tgparentid = 0 AND t.tgfoid = 'embedding_backfill.forget_embedding()'::regprocedure
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', made.name, made.on_table);
    END LOOP;
END
$function$;
COMMENT ON FUNCTION @extschema@.embed_keep_fresh_off(regclass) IS
'drops the triggers that embed_keep_fresh made';

CREATE FUNCTION @extschema@.embed_keep_fresh(relation regclass, VARIADIC columns name[])
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    parent regclass;
    vectors name[];
    embeddings name[];
    wrong name;
    heir regclass;
    embedding name;
BEGIN
    IF relation IS NULL THEN
        RAISE EXCEPTION 'relation must not be NULL'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'name a table, such as ''memory_logs''';
    END IF;
    PERFORM FROM pg_class AS c WHERE c.oid = relation AND c.relkind IN ('r', 'p');
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not a table', relation
            USING ERRCODE = 'wrong_object_type', HINT = 'name the table that stores the embedding column';
    END IF;
    PERFORM FROM pg_class AS c WHERE c.oid = relation AND pg_has_role(c.relowner, 'USAGE');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'must be owner of table %', relation
            USING ERRCODE = 'insufficient_privilege', HINT = 'run it as the owner of the table';
    END IF;
    SELECT t.tgrelid INTO parent
    FROM pg_partition_ancestors(relation) AS ancestor
    JOIN pg_trigger AS t ON t.tgrelid = ancestor.relid
    WHERE t.tgrelid <> relation AND t.tgparentid = 0
      AND t.tgfoid = 'embedding_backfill.forget_embedding()'::regprocedure
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% is a partition of %, whose trigger it has', relation, parent
            USING ERRCODE = 'duplicate_object', HINT = format('SELECT embed_keep_fresh(%L, ...);', parent);
    END IF;
    -- One that is never NULL can't be emptied.
    SELECT array_agg(a.attname ORDER BY a.attnum),
           array_agg(a.attname ORDER BY a.attnum) FILTER (WHERE a.attgenerated = '' AND NOT a.attnotnull)
    INTO vectors, embeddings
    FROM pg_attribute AS a
    JOIN pg_type AS t ON t.oid = a.atttypid
    JOIN pg_depend AS d ON d.objid = t.oid AND d.classid = 'pg_type'::regclass AND d.deptype = 'e'
    JOIN pg_extension AS e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
    WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
      AND e.extname = 'vector' AND t.typname IN ('vector', 'halfvec');
    IF vectors IS NULL THEN
        RAISE EXCEPTION 'table % has no column of type vector or halfvec', relation
            USING ERRCODE = 'undefined_column',
                  HINT = format('ALTER TABLE %s ADD COLUMN embedding vector(768);', relation);
    END IF;
    IF embeddings IS NULL THEN
        RAISE EXCEPTION 'each embedding column of table % is generated or NOT NULL', relation
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = (
                      SELECT format('ALTER TABLE %s ALTER COLUMN %I DROP %s;', relation, a.attname,
                          CASE WHEN a.attnotnull THEN 'NOT NULL' ELSE 'EXPRESSION' END)
                      FROM pg_attribute AS a
                      WHERE a.attrelid = relation AND a.attname = vectors[1]);
    END IF;
    IF coalesce(cardinality(columns), 0) = 0 THEN
        RAISE EXCEPTION 'no column is named whose changes count'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'name the columns that the content is made of, such as ''raw_data''';
    END IF;
    IF array_position(columns, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a column is NULL'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'name the columns that the content is made of, such as ''raw_data''';
    END IF;
    SELECT c INTO wrong FROM unnest(columns) AS c
    WHERE c = ANY (vectors) OR NOT EXISTS (
        SELECT FROM pg_attribute AS a
        WHERE a.attrelid = relation AND a.attname = c AND a.attnum > 0 AND NOT a.attisdropped)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'table % has no column "%" to make a content of', relation, wrong
            USING ERRCODE = 'undefined_column', HINT = 'name columns of the table, but not the embedding';
    END IF;
    -- A BEFORE trigger does not see it yet.
    SELECT a.attname INTO wrong FROM pg_attribute AS a
    WHERE a.attrelid = relation AND a.attname = ANY (columns) AND a.attgenerated <> '';
    IF FOUND THEN
        RAISE EXCEPTION 'column "%" of table % is generated', wrong, relation
            USING ERRCODE = 'invalid_object_definition', HINT = 'name the columns that it is made of';
    END IF;
    PERFORM @extschema@.embed_keep_fresh_off(relation);
    -- Partitions have the trigger of their parent, tables that inherit have none.
    FOR heir IN
        WITH RECURSIVE tree (oid) AS (
            SELECT relation::oid
            UNION
            SELECT c.oid FROM pg_inherits AS i
            JOIN tree ON i.inhparent = tree.oid
            JOIN pg_class AS c ON c.oid = i.inhrelid AND c.relkind = 'r' AND NOT c.relispartition)
        SELECT tree.oid::regclass FROM tree
    LOOP
        FOREACH embedding IN ARRAY embeddings LOOP
            -- As text, since not every type can be compared, and byte by byte, since a collation may take unequal
            -- ones for equal. A writer who brings a new vector along keeps it.
            EXECUTE format(
                'CREATE TRIGGER %I BEFORE UPDATE OF %s ON %s FOR EACH ROW'
                ' WHEN ((%s) AND OLD.%5$I::text COLLATE "C" IS NOT DISTINCT FROM NEW.%5$I::text COLLATE "C")'
                ' EXECUTE FUNCTION embedding_backfill.forget_embedding(%5$L)',
                'embedding_backfill_keep_fresh_' || (
                    SELECT a.attnum FROM pg_attribute AS a
                    WHERE a.attrelid = heir AND a.attname = embedding),
                (SELECT string_agg(DISTINCT quote_ident(c), ', ') FROM unnest(columns) AS c),
                heir,
                (SELECT string_agg(DISTINCT format(
                     'OLD.%1$I::text COLLATE "C" IS DISTINCT FROM NEW.%1$I::text COLLATE "C"', c), ' OR ')
                 FROM unnest(columns) AS c),
                embedding);
        END LOOP;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION @extschema@.embed_keep_fresh(regclass, name[]) IS
'makes a trigger: a row loses its embedding when one of these columns changes, so that the next run embeds it again';

-- Open to all, also where the owner's default privileges say otherwise: these look at the caller's rights
-- on the table or on what they are a step of.
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA embedding_backfill TO PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.embed_plan(regclass, integer, text, name, text, text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.embed_stop(regclass) TO PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.embed_retry_rejected(regclass) TO PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.embed_keep_fresh(regclass, name[]) TO PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.embed_keep_fresh_off(regclass) TO PUBLIC;
