"""Embeds texts with Google's official SDK, for tests that hold its vectors against other clients'.

Reads one JSON object on stdin: base_url (with the version, as http://127.0.0.1:PORT/v1beta), key, model, texts, and
optionally dimensions and task_type. Prints {"vectors": [...]} or, for what the API refused, {"error": {...}}.
Needs the package google-genai (3.4.0 was tried).
"""

import json
import sys

from google import genai
from google.genai import errors, types


def embed(base_url, key, model, texts, dimensions=None, task_type=None):
    root, version = base_url.rsplit("/", 1)
    options = types.HttpOptions(base_url=root, api_version=version)
    client = genai.Client(api_key=key, http_options=options)
    # Plain strings would become parts of one content, and so one vector, with gemini-embedding-2.
    contents = [types.Content(parts=[types.Part(text=text)]) for text in texts]
    config = types.EmbedContentConfig(output_dimensionality=dimensions, task_type=task_type)
    answer = client.models.embed_content(model=model, contents=contents, config=config)
    return [embedding.values for embedding in answer.embeddings]


def main():
    try:
        result = {"vectors": embed(**json.load(sys.stdin))}
    except errors.APIError as error:
        result = {"error": {"code": error.code, "status": error.status, "message": error.message}}
    json.dump(result, sys.stdout)


main()
