-- The same vectors in ChromaDB, for those who search there. Nothing is embedded again.
\set ECHO queries

\echo '-- All rows that have a vector, with two columns as metadata. Call it again at any time.'
CALL mirror_to_chroma('memory_logs', 'memory_logs', metadata => '{agent,date}');
CALL mirror_to_chroma('mental_notes', 'mental_notes');

SELECT relation, collection, state, mirrored, removed FROM embedding_backfill.runs
 WHERE function = 'mirror_to_chroma' ORDER BY run;
