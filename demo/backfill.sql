-- The backfill as a DBA types it.
\set ECHO queries

\echo '-- How many rows have no embedding? Counting sends nothing and costs nothing.'
SELECT count(*) FROM memory_logs WHERE embedding IS NULL;
SELECT count(*) FROM mental_notes WHERE embedding IS NULL;

\echo '-- One batch of 50, in this transaction.'
SELECT embed_missing('memory_logs', 50);

\echo '-- All the rest, 50 texts a request, committed as it goes; then the other table.'
CALL embed_all_missing('memory_logs', 50);
CALL embed_all_missing('mental_notes', 50);

\echo '-- What is left?'
SELECT count(*) FROM memory_logs WHERE embedding IS NULL;
SELECT count(*) FROM mental_notes WHERE embedding IS NULL;

SELECT date, left(task, 60) AS task,
       CASE WHEN embedding IS NULL THEN 'NO EMBEDDING' ELSE 'HAS EMBEDDING' END AS status
  FROM memory_logs
 ORDER BY date DESC, id DESC
 LIMIT 10;
