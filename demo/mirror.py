"""Prints what a collection of ChromaDB has nearest to the vector on standard input, by Chroma's own client:
mirror.py URL DATABASE COLLECTION"""

import json
import sys
from urllib.parse import urlsplit

import chromadb

url, database, collection = sys.argv[1:]
address = urlsplit(url)
client = chromadb.HttpClient(host=address.hostname, port=address.port, ssl=address.scheme == "https", database=database)
collection = client.get_collection(collection)
found = collection.query(query_embeddings=[json.load(sys.stdin)], n_results=5)
print(f"{collection.count()} records")
for id, distance, document in zip(found["ids"][0], found["distances"][0], found["documents"][0]):
    first_line = document.partition("\n")[0]
    print(f"{1 - distance:10.2f} | {id:>4} | {first_line[:70]}")
