"""Embeds texts with Google's official SDK, for tests that hold its vectors against other clients'.

Reads one JSON object on stdin: base_url (with the version, as http://127.0.0.1:PORT/v1beta), model, texts, and optionally
dimensions and task_type; for the Gemini API key, for Vertex AI credentials (what is in the key file of a service account),
project and location. Prints {"vectors": [...]}, with Vertex AI "statistics" and "metadata" where the answer has them, or, for
what the API refused, {"error": {...}}. Needs the package google-genai (3.4.0 was tried).
"""

import json
import sys

from google import genai
from google.auth.exceptions import RefreshError
from google.genai import errors, types
from google.oauth2 import service_account

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def connect(base_url, key=None, credentials=None, project=None, location="global"):
    root, version = base_url.rsplit("/", 1)
    options = types.HttpOptions(base_url=root, api_version=version)
    if credentials is None:
        return genai.Client(api_key=key, http_options=options)
    account = service_account.Credentials.from_service_account_info(credentials, scopes=[SCOPE])
    return genai.Client(
        vertexai=True, credentials=account, project=project, location=location, http_options=options
    )


def embed(model, texts, dimensions=None, task_type=None, auto_truncate=None, **door):
    # Plain strings would become parts of one content, and so one vector, with gemini-embedding-2.
    contents = [types.Content(parts=[types.Part(text=text)]) for text in texts]
    config = types.EmbedContentConfig(
        output_dimensionality=dimensions, task_type=task_type, auto_truncate=auto_truncate
    )
    # It closes its connections when it is not held any more.
    client = connect(**door)
    answer = client.models.embed_content(model=model, contents=contents, config=config)
    result = {"vectors": [embedding.values for embedding in answer.embeddings]}
    statistics = [embedding.statistics for embedding in answer.embeddings]
    if all(statistics):
        result["statistics"] = [[one.token_count, one.truncated] for one in statistics]
    if answer.metadata:
        result["metadata"] = answer.metadata.billable_character_count
    return result


def main():
    try:
        result = embed(**json.load(sys.stdin))
    except errors.APIError as error:
        result = {"error": {"code": error.code, "status": error.status, "message": error.message}}
    except RefreshError as error:
        result = {"error": error.args[1]}
    json.dump(result, sys.stdout)


main()
