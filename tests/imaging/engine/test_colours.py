"""The dominant colours of a picture."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from app.imaging.details import Colour
from app.imaging.engine.colours import dominant
from app.imaging.engine.perform import describe
from app.imaging.errors import UnreadableImage
from tests.images import encoded, photo


def webp(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


def test_areas_are_told_by_size() -> None:
    picture = Image.new("RGB", (100, 100), "#204080")
    ImageDraw.Draw(picture).rectangle((0, 0, 99, 29), fill="#e0c040")
    found = dominant(webp(picture))
    assert [colour.hex for colour in found] == ["#204080", "#e0c040"]
    assert found[0].share == pytest.approx(0.7, abs=0.02)


def test_what_is_transparent_does_not_count() -> None:
    picture = Image.new("RGBA", (100, 100), (255, 0, 0, 0))
    assert dominant(webp(picture)) == ()
    ImageDraw.Draw(picture).rectangle((40, 40, 60, 60), fill=(0, 128, 0, 255))
    assert dominant(webp(picture)) == (Colour("#008000", 1.0),)


def test_a_photo_has_a_handful_and_one_pixel_one() -> None:
    found = dominant(webp(photo(480, 360)))
    assert 2 <= len(found) <= 6
    assert 0.5 < sum(colour.share for colour in found) < 1.01
    assert [colour.share for colour in found] == sorted((c.share for c in found), reverse=True)
    assert dominant(webp(Image.new("L", (1, 1), 77))) == (Colour("#4d4d4d", 1.0),)


def test_a_file_is_described_or_refused(tmp_path: Path) -> None:
    thumbnail, source = tmp_path / "thumbnail", tmp_path / "source"
    thumbnail.write_bytes(webp(photo(64, 48)))
    source.write_bytes(encoded("JPEG", 64, 48, comment=b"hello"))
    told = describe(source, thumbnail)
    assert told.colours
    assert told.metadata.comments == ("hello",)
    thumbnail.write_bytes(b"RIFF")
    with pytest.raises(UnreadableImage):
        describe(source, thumbnail)
