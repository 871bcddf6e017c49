"""A server of files for what fetches, and a place to put them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.fetching.origin import Origin, running_origin


@pytest.fixture
def plain() -> Iterator[Origin]:
    """Files over http."""
    with running_origin() as server:
        yield server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where a fetched file goes."""
    return tmp_path / "original"
