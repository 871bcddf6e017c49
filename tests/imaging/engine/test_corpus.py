"""Every file of the corpus through the pool: the outcome that its manifest allows, in time, and
never larger."""

import csv
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from PIL import Image

from app.imaging import (
    Format,
    ImagingError,
    ImagingPool,
    Limits,
    Original,
    Picture,
    Transform,
    accepted,
)
from tests.imaging.samples import CORPUS, frames_of, opened

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus does not lie beside the project"),
]
SECONDS = 10
TRANSFORMS = {
    "default": Transform(),
    "small webp": Transform(Format.WEBP, max_width=320, max_height=320),
}


def rows(surface: str = "compress") -> list[tuple[str, set[str]]]:
    """Each file, and the statuses that it may have; video rows name two: ``compress:422; asset
    VIDEO:2xx``."""
    manifest = CORPUS / "MANIFEST.tsv"
    if not manifest.is_file():
        return []
    with manifest.open(newline="") as file:
        return [
            (row["path"], statuses(row["expect"], surface))
            for row in csv.DictReader(file, delimiter="\t")
        ]


def statuses(expected: str, surface: str) -> set[str]:
    """Those of one surface, or of all where they name none."""
    named = dict(part.strip().split(":") for part in expected.split(";") if ":" in part)
    return set(named.get(surface, expected).replace("2xx", "200").split("|"))


@pytest.fixture(scope="module")
def pool() -> Iterator[ImagingPool]:
    pool = ImagingPool(2, Limits())
    yield pool
    pool.close()


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize(
    ("path", "expected"), rows(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_outcome(
    pool: ImagingPool, tmp_path: Path, path: str, expected: set[str], transform: Transform
) -> None:
    source, target = CORPUS / path, tmp_path / "target"
    started = time.monotonic()
    future: Future[Picture] = pool.submit(source, target, transform, "acme")
    refusal = future.exception(SECONDS * 2)
    assert time.monotonic() - started < SECONDS
    if refusal is not None:
        assert isinstance(refusal, ImagingError)
        assert str(refusal.status) in expected, refusal
        assert not target.exists()
        return
    assert "200" in expected
    picture, result = future.result(), target.read_bytes()
    assert picture.size == len(result)
    shown = opened(result)
    assert Image.MIME[shown.format or ""] == picture.format.mime
    # Pillow counts the frames of a kept AVIF sequence, whose still is what was asked for.
    assert frames_of(shown) == picture.frames or picture.format is Format.AVIF
    if transform == Transform() and picture.format == picture.source_format:
        assert picture.size <= source.stat().st_size
    for private in (b"GPSLatitude", b"xmpmeta", b"Photoshop 3.0"):
        assert private not in result


@pytest.mark.parametrize(
    ("path", "expected"),
    rows("asset VIDEO"),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_examined(pool: ImagingPool, tmp_path: Path, path: str, expected: set[str]) -> None:
    target = tmp_path / "target"
    future: Future[Original] = pool.examine(CORPUS / path, target, "acme")
    refusal = future.exception(SECONDS * 2)
    if refusal is not None:
        assert isinstance(refusal, ImagingError)
        assert str(refusal.status) in expected, refusal
        assert not target.exists()
        return
    assert "200" in expected
    original = future.result()
    assert accepted(original.mime) == original.mime
    assert original.is_video == path.startswith("video/")
    thumbnail = opened(target.read_bytes())
    assert (thumbnail.format, frames_of(thumbnail)) == ("WEBP", 1)
    # As tall for its width as the original, to the pixel.
    scale = max(thumbnail.size) / max(original.width, original.height)
    assert thumbnail.width == pytest.approx(original.width * scale, abs=1)
    assert thumbnail.height == pytest.approx(original.height * scale, abs=1)
    assert scale <= 1
    assert max(thumbnail.size) <= 480
