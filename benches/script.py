"""What one would write without the extension: fills items.embedding through Google's SDK, 8 requests of 100 texts at a time.

DATABASE is a conninfo string, GEMINI_API_KEY a key, GEMINI_BASE_URL the API's URL with its version. Prints how many seconds
it took, without the start of Python. Needs google-genai[aiohttp], psycopg[binary] and pgvector.
"""

import asyncio
import os
import time

from google import genai
from google.genai import types
from pgvector import Vector
from pgvector.psycopg import register_vector_async
from psycopg import AsyncConnection

MODEL = "gemini-embedding-2"
DIMENSIONS = 768
BATCH = 100
CONCURRENCY = 8

READ = "SELECT id, content FROM items WHERE embedding IS NULL ORDER BY id"
WRITE = """
    UPDATE items SET embedding = new.embedding
    FROM unnest(%b::bigint[], %b::vector[]) AS new (id, embedding)
    WHERE items.id = new.id
"""


async def embed(client, texts):
    # Plain strings would become parts of one content, and so one vector.
    contents = [types.Content(parts=[types.Part(text=f"title: none | text: {text}")]) for text in texts]
    config = types.EmbedContentConfig(output_dimensionality=DIMENSIONS)
    answer = await client.aio.models.embed_content(model=MODEL, contents=contents, config=config)
    return [Vector(embedding.values) for embedding in answer.embeddings]


async def worker(client, database, batches):
    for rows in batches:
        ids, texts = zip(*rows)
        vectors = await embed(client, texts)
        await database.execute(WRITE, (list(ids), vectors))


async def main():
    url, version = os.environ["GEMINI_BASE_URL"].rsplit("/", 1)
    options = types.HttpOptions(base_url=url, api_version=version)
    client = genai.Client(api_key=os.environ["GEMINI_API_KEY"], http_options=options)
    async with await AsyncConnection.connect(os.environ["DATABASE"], autocommit=True) as database:
        await register_vector_async(database)
        began = time.perf_counter()
        rows = await (await database.execute(READ)).fetchall()
        batches = (rows[at : at + BATCH] for at in range(0, len(rows), BATCH))
        await asyncio.gather(*(worker(client, database, batches) for _ in range(CONCURRENCY)))
        print(time.perf_counter() - began)


asyncio.run(main())
