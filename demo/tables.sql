-- Two tables whose rows came straight out of JSON files, so that no embedding was ever made.
\set ECHO queries
CREATE EXTENSION embedding_backfill CASCADE;
ALTER DATABASE demo SET embedding_backfill.api_key_file = :'key_file';
\if :{?base_url}
ALTER DATABASE demo SET embedding_backfill.base_url = :'base_url';
\endif
\if :{?chroma_url}
ALTER DATABASE demo SET embedding_backfill.chroma_url = :'chroma_url';
\endif

CREATE TABLE memory_logs (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task       text,
    agent      text,
    date       date,
    raw_data   jsonb,
    user_id    uuid,
    project_id uuid,
    embedding  vector(768)
);

CREATE TABLE mental_notes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title      text,
    date       date,
    raw_data   jsonb,
    embedding  vector(768)
);

\set ECHO none
CREATE TEMPORARY TABLE log_file (entry jsonb);
CREATE TEMPORARY TABLE note_file (entry jsonb);
-- One JSON object a line: as CSV with a quote and a delimiter that no line has, each is taken as it is.
\copy log_file FROM 'memory_logs.jsonl' WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
\copy note_file FROM 'mental_notes.jsonl' WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')

INSERT INTO memory_logs (task, agent, date, raw_data)
SELECT entry ->> 'task', entry ->> 'agent', (entry ->> 'date')::date, entry -> 'raw_data' FROM log_file;

INSERT INTO mental_notes (title, date, raw_data)
SELECT entry ->> 'title', (entry ->> 'date')::date, entry -> 'raw_data' FROM note_file;
