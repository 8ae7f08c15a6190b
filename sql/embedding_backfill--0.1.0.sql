\echo Use "CREATE EXTENSION embedding_backfill CASCADE" to load this file. \quit

-- What users call is in the schema that CREATE EXTENSION chose; what they don't is in this one.
CREATE SCHEMA embedding_backfill;
COMMENT ON SCHEMA embedding_backfill IS 'internals of the extension embedding_backfill';
GRANT USAGE ON SCHEMA embedding_backfill TO PUBLIC;

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

-- All batches, with a commit after each

CREATE FUNCTION embedding_backfill.run_begin(
    relation regclass,
    batch integer,
    content text,
    embedding_column name,
    source_filter text,
    model text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'run_begin_wrapper';
COMMENT ON FUNCTION embedding_backfill.run_begin(regclass, integer, text, name, text, text) IS
'checks the call and says the price; only for those who may CALL embed_all_missing';

CREATE FUNCTION embedding_backfill.run_step()
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'run_step_wrapper';
COMMENT ON FUNCTION embedding_backfill.run_step() IS
'writes the vectors that have arrived and sends the next rows; false when nothing is in flight any more';

CREATE PROCEDURE embedding_backfill.run_wait()
LANGUAGE c
AS 'MODULE_PATHNAME', 'run_wait_wrapper';
COMMENT ON PROCEDURE embedding_backfill.run_wait() IS
'commits, then waits for an answer without snapshot, transaction ID or lock';

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
    INOUT embedded bigint DEFAULT NULL,
    INOUT remaining bigint DEFAULT NULL,
    INOUT stopped_because text DEFAULT NULL)
LANGUAGE plpgsql
AS $procedure$
BEGIN
    PERFORM embedding_backfill.run_begin(relation, batch, content, embedding_column, source_filter, model);
    -- Inside a function this fails, before anything is sent.
    COMMIT;
    LOOP
        CALL embedding_backfill.run_wait();
        -- Rows that others change meanwhile must be a reason to look again, not an error.
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        EXIT WHEN NOT embedding_backfill.run_step();
    END LOOP;
    COMMIT;
    SELECT run.embedded, run.remaining, run.stopped_because
    INTO embedded, remaining, stopped_because
    FROM embedding_backfill.run_end() AS run;
END
$procedure$;
COMMENT ON PROCEDURE @extschema@.embed_all_missing(regclass, integer, text, name, text, text, bigint, bigint, text) IS
'embeds every row whose embedding is NULL and whose content is not blank, committing as it goes';
-- It spends money and sends data out.
REVOKE EXECUTE ON PROCEDURE @extschema@.embed_all_missing(regclass, integer, text, name, text, text, bigint, bigint, text) FROM PUBLIC;
