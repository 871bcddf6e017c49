"""Checksums of files."""

import hashlib
import zlib
from pathlib import Path

import pytest

from app.services.checksums import CHUNK_BYTES, crc32_of, sha256_of


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_a_file_has_the_checksums_of_its_bytes(tmp_path: Path, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    (tmp_path / "file").write_bytes(content)
    assert crc32_of(tmp_path / "file") == zlib.crc32(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()
