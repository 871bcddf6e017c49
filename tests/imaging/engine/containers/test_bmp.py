import pytest

from app.imaging import UnsupportedImage
from app.imaging.engine.containers import bmp
from app.imaging.engine.containers.header import Damaged
from tests.imaging.samples import corners, encoded


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_header(mode: str) -> None:
    header = bmp.read_header(encoded(corners(70, 30).convert(mode), "BMP"))
    assert (header.width, header.height) == (70, 30)


def test_top_down() -> None:
    picture = bytearray(encoded(corners(70, 30), "BMP"))
    picture[22:26] = (-30).to_bytes(4, "little", signed=True)
    assert bmp.read_header(bytes(picture)).height == 30


def test_missing_rows_are_damaged() -> None:
    with pytest.raises(Damaged, match="rows are missing"):
        bmp.read_header(encoded(corners(), "BMP")[:-1])


def test_an_unknown_header_is_damaged() -> None:
    picture = bytearray(encoded(corners(), "BMP"))
    picture[14] = 41
    with pytest.raises(Damaged, match="info header"):
        bmp.read_header(bytes(picture))


def test_two_colours_are_unsupported() -> None:
    with pytest.raises(UnsupportedImage, match="1-bit"):
        bmp.read_header(encoded(corners().convert("1"), "BMP"))
