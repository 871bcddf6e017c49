"""Large JSON answers, built from files while they are sent, so that memory does not grow with the
answer."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flask import Response

CHUNK_BYTES = 3 * 64 * 1024
"""A multiple of 3, so that the chunks' base64 joins without padding (RFC 4648 §4)."""


@dataclass(frozen=True)
class Base64File:
    """A file that the answer contains as base64."""

    path: Path
    size: int

    def __len__(self) -> int:
        return (self.size + 2) // 3 * 4

    def __iter__(self) -> Iterator[bytes]:
        self.path.touch()  # so that the sweep does not remove a file that is still in use
        with self.path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield base64.b64encode(chunk)


def stream(parts: Sequence[bytes | Base64File]) -> Response:
    """A JSON answer that is the concatenation of ``parts``, with its length announced."""

    def body() -> Iterator[bytes]:
        for part in parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from part

    response = Response(body(), mimetype="application/json")
    response.content_length = sum(len(part) for part in parts)
    return response
