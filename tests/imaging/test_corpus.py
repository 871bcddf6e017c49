"""Every file of the corpus through the pool: the outcome that its manifest allows, in time, and never larger."""

import csv
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from PIL import Image

from app.imaging import Format, ImagingError, ImagingPool, Limits, Picture, Transform
from tests.imaging.samples import CORPUS, frames_of, opened

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus does not lie beside the project"),
]
SECONDS = 10
TRANSFORMS = {"default": Transform(), "small webp": Transform(Format.WEBP, max_width=320, max_height=320)}


def rows() -> list[tuple[str, set[str]]]:
    manifest = CORPUS / "MANIFEST.tsv"
    if not manifest.is_file():
        return []
    with manifest.open(newline="") as file:
        # Video rows name two surfaces: "compress:422; asset VIDEO:2xx".
        return [
            (row["path"], set(row["expect"].split(";")[0].removeprefix("compress:").split("|")))
            for row in csv.DictReader(file, delimiter="\t")
        ]


@pytest.fixture(scope="module")
def pool() -> Iterator[ImagingPool]:
    pool = ImagingPool(2, Limits())
    yield pool
    pool.close()


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize(("path", "expected"), rows(), ids=lambda value: value if isinstance(value, str) else "")
def test_outcome(pool: ImagingPool, tmp_path: Path, path: str, expected: set[str], transform: Transform) -> None:
    source, target = CORPUS / path, tmp_path / "target"
    started = time.monotonic()
    future: Future[Picture] = pool.submit(source, target, transform)
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
