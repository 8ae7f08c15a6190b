\echo Use "ALTER EXTENSION embedding_backfill UPDATE TO '0.2.0'" to load this file. \quit

-- The journal tells of mirrors, too, which have no model.

ALTER TABLE embedding_backfill.journal
    ALTER COLUMN model DROP NOT NULL,
    ALTER COLUMN task_type DROP NOT NULL,
    ADD COLUMN collection text,
    ADD COLUMN mirrored bigint NOT NULL DEFAULT 0,
    ADD COLUMN removed bigint NOT NULL DEFAULT 0;

-- A column is known by its lock's key, since names are passed on from one to another.
DROP INDEX embedding_backfill.journal_relation_idx;
CREATE INDEX journal_column_idx ON embedding_backfill.journal (lock_key, run);

CREATE OR REPLACE VIEW embedding_backfill.runs WITH (security_barrier) AS
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
COMMENT ON COLUMN embedding_backfill.runs.state IS 'running, done, failed, or interrupted by a cancel, by another error of PostgreSQL''s own, or by the end of its session';
COMMENT ON COLUMN embedding_backfill.runs.reason IS 'why it ended: done, the limit that was reached, or the error; NULL where it was interrupted';
COMMENT ON COLUMN embedding_backfill.runs.model IS 'NULL for mirror_to_chroma, which embeds nothing';
COMMENT ON COLUMN embedding_backfill.runs.task_type IS 'NULL for mirror_to_chroma';
COMMENT ON COLUMN embedding_backfill.runs.pending IS 'rows to embed, or for mirror_to_chroma to mirror, when it began';
COMMENT ON COLUMN embedding_backfill.runs.collection IS 'collection of ChromaDB that it mirrored to; NULL where to none';
COMMENT ON COLUMN embedding_backfill.runs.mirrored IS 'records that the collection took';
COMMENT ON COLUMN embedding_backfill.runs.removed IS 'records that were deleted from the collection, since their row is gone or has no vector';

CREATE OR REPLACE VIEW embedding_backfill.progress WITH (security_barrier) AS
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

-- embed_all_missing has one argument more. Its arguments are part of a procedure's name: CREATE OR REPLACE
-- would make a second one beside it, which no call could be told from the first. A DROP would take along
-- what users granted on it, and a GRANT in this script would make their grants the extension's own, which
-- pg_dump leaves out. So the new one is made under another name, and what it is becomes that of the old:
-- its owner, rights and comment stay.

CREATE FUNCTION embedding_backfill.run_mirror(collection text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'run_mirror_wrapper';
COMMENT ON FUNCTION embedding_backfill.run_mirror(text) IS
'has the run that has just begun put its rows into a collection of ChromaDB; only for those who may call mirror_to_chroma';

CREATE PROCEDURE embedding_backfill.embed_all_missing(
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

UPDATE pg_catalog.pg_proc AS old
SET pronargs = new.pronargs,
    pronargdefaults = new.pronargdefaults,
    proargtypes = new.proargtypes,
    proallargtypes = new.proallargtypes,
    proargmodes = new.proargmodes,
    proargnames = new.proargnames,
    proargdefaults = new.proargdefaults,
    prosrc = new.prosrc
FROM pg_catalog.pg_proc AS new
WHERE new.oid OPERATOR(pg_catalog.=) 'embedding_backfill.embed_all_missing'::pg_catalog.regproc::pg_catalog.oid
  AND old.oid OPERATOR(pg_catalog.=)
      '@extschema@.embed_all_missing(regclass, integer, text, name, text, text, interval, bigint, bigint, numeric, bigint, bigint, text)'::pg_catalog.regprocedure::pg_catalog.oid;
DROP PROCEDURE embedding_backfill.embed_all_missing;

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

COMMENT ON FUNCTION @extschema@.embed_stop(regclass) IS
'tells a running embed_all_missing or mirror_to_chroma to end after the requests in flight; false where none runs';

-- Of those that are new: what is there already may have rights that its users gave or took.
GRANT EXECUTE ON FUNCTION embedding_backfill.run_mirror(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION embedding_backfill.mirror_begin(regclass, text, text, name, text, text[], text, integer, interval) TO PUBLIC;
GRANT EXECUTE ON FUNCTION embedding_backfill.mirror_end() TO PUBLIC;

-- Tables that inherit, columns that are never NULL, and collations that take unequal texts for equal. Triggers
-- that are there stay as they are, until the function is called again.

CREATE OR REPLACE FUNCTION @extschema@.embed_keep_fresh_off(relation regclass)
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

CREATE OR REPLACE FUNCTION @extschema@.embed_keep_fresh(relation regclass, VARIADIC columns name[])
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
