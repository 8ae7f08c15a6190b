-- A search by meaning. The question's vector is made like all the others, only for the other task.
\set ECHO queries

\echo '-- Search by meaning. No entry has a word of this question in it:'
SELECT count(*) FROM memory_logs WHERE concat(task, raw_data) ~* 'clock|calendar';

CREATE TABLE questions (question text, embedding vector(768));
INSERT INTO questions VALUES ('clock, calendar');
SET embedding_backfill.task_type = 'RETRIEVAL_QUERY';
SELECT embed_missing('questions');

SELECT round((1 - (log.embedding <=> question.embedding))::numeric, 2) AS similarity,
       log.date, left(log.task, 64) AS task
  FROM memory_logs AS log, questions AS question
 ORDER BY log.embedding <=> question.embedding
 LIMIT 5;
