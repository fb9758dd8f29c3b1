#!/usr/bin/env python3
"""A `verify` hook: every collection has as many documents on the new cluster as on the old one.

The workflow's variable `cluster` says which: the connection strings are in `$URIS/CLUSTER.source` and `$URIS/CLUSTER.target`
(`URIS`, or ./uris beside this file), readable by this user alone, so that no password is in a workflow or a process list. Needs pymongo.

Exit code 0: all are equal. 75: a cluster cannot be asked now. 1: they differ; the output names up to 20 collections.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import ConnectionFailure

NOT_YET = 75
OF_MONGODB = {"admin", "config", "local"}
MOST_NAMED = 20
URIS = Path(os.environ.get("URIS") or Path(__file__).parent / "uris")


def counts(side: str) -> dict[str, int]:
    """The number of documents by `database.collection`; for an exact one instead of the server's own, `count_documents({})`."""
    uri = (URIS / f"{os.environ['CUTOVER_VAR_CLUSTER']}.{side}").read_text(encoding="utf-8").strip()
    with MongoClient(uri, serverSelectionTimeoutMS=10_000) as client:
        return {
            f"{database}.{collection}": client[database][collection].estimated_document_count()
            for database in client.list_database_names()
            if database not in OF_MONGODB
            for collection in client[database].list_collection_names(filter={"type": "collection"})
            if not collection.startswith("system.")
        }


def main() -> int:
    """The exit code."""
    if os.environ.get("CUTOVER_REHEARSAL") == "true":
        print("a rehearsal moves no documents: not counted")
        return 0
    try:
        source, target = counts("source"), counts("target")
    except ConnectionFailure as error:
        print(f"not yet: {error}")
        return NOT_YET
    differ = sorted(name for name in source.keys() | target.keys() if source.get(name, 0) != target.get(name, 0))
    for name in differ[:MOST_NAMED]:
        print(f"{name}: {source.get(name, 0)} on the old cluster, {target.get(name, 0)} on the new one")
    print(f"{len(source)} collections, {len(differ)} of them differ")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
