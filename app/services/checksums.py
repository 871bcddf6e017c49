"""Checksums of files, read piece by piece."""

import hashlib
import zlib
from pathlib import Path

CHUNK_BYTES = 256 * 1024


def sha256_of(path: Path) -> str:
    """Names a content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def crc32_of(path: Path) -> int:
    """What a ZIP says of an entry before the entry itself."""
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            checksum = zlib.crc32(chunk, checksum)
    return checksum
