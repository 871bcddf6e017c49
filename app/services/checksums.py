"""Checksums of files, which are read in chunks."""

import hashlib
import zlib
from pathlib import Path

CHUNK_BYTES = 256 * 1024


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal digits; it identifies the content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def crc32_of(path: Path) -> int:
    """The CRC-32 of a file, which a ZIP needs before the bytes of the entry."""
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            checksum = zlib.crc32(chunk, checksum)
    return checksum
