"""The fake Stripe's store: JSON documents in one SQLite table, in a file or in memory."""

import json
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]

encode = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode
"""Made once: ``json.dumps`` makes an encoder for every call, which takes as long as the
encoding."""

TABLE = """
CREATE TABLE IF NOT EXISTS documents (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, owner TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, id)
)
"""
INDEX = "CREATE INDEX IF NOT EXISTS by_owner ON documents (kind, owner, number)"
PUT = """
INSERT INTO documents (kind, id, owner, body) VALUES (?, ?, ?, ?)
ON CONFLICT (kind, id) DO UPDATE SET owner = excluded.owner, body = excluded.body
"""


class Store:
    """Thread-safe. Documents are copies: changes take effect when they are put back.

    Every document has an ``id`` and an owner, which may be empty. Lists are in the order of
    insertion.
    """

    def __init__(self, path: Path | None) -> None:
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(
            path or ":memory:", isolation_level=None, check_same_thread=False
        )
        weakref.finalize(
            self, self._connection.close
        )  # Python warns about connections that are not closed
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(TABLE)
        self._connection.execute(INDEX)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in a transaction that excludes other threads. Nested transactions are
        one."""
        with self._lock:
            self._depth += 1
            try:
                if self._depth == 1:
                    self._connection.execute("BEGIN")
                yield
                if self._depth == 1:
                    self._connection.execute("COMMIT")
            except BaseException:
                if self._depth == 1:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1

    def alone(self) -> AbstractContextManager[object]:
        """Exclude other threads over several transactions."""
        return self._lock

    def put(self, kind: str, document: Document, owner: str = "") -> None:
        values = (kind, document["id"], owner, encode(document))
        with self._lock:
            self._connection.execute(PUT, values)

    def get(self, kind: str, document_id: str) -> Document | None:
        query = "SELECT body FROM documents WHERE kind = ? AND id = ?"
        with self._lock:
            row = self._connection.execute(query, (kind, document_id)).fetchone()
        return json.loads(row[0]) if row else None

    def all(self, kind: str, owner: str | None = None, after: str | None = None) -> list[Document]:
        """Return documents of a kind, oldest first: all, those of an owner, or those after another
        document."""
        query, values = "SELECT body FROM documents WHERE kind = ?", [kind]
        if owner is not None:
            query, values = f"{query} AND owner = ?", [*values, owner]
        if after is not None:
            later = "number > (SELECT number FROM documents WHERE kind = ? AND id = ?)"
            query, values = f"{query} AND {later}", [*values, kind, after]
        with self._lock:
            rows = self._connection.execute(f"{query} ORDER BY number", values).fetchall()
        return [json.loads(row[0]) for row in rows]

    def remove(self, kind: str, document_id: str) -> None:
        with self._lock:
            self._connection.execute(
                "DELETE FROM documents WHERE kind = ? AND id = ?", (kind, document_id)
            )

    def close(self) -> None:
        with self._lock:
            self._connection.close()
