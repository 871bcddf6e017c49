import pytest

from app.imaging.engine.containers import heif
from app.imaging.engine.containers.header import Damaged
from tests.imaging.samples import corners, encoded, opened, oriented


def test_header() -> None:
    header = heif.read_header(encoded(corners(70, 30), "AVIF"))
    assert (header.width, header.height) == (70, 30)


def test_a_claimed_size_counts_before_decoding() -> None:
    small = encoded(corners(64, 32), "AVIF")
    at = small.index(b"ispe") + 8
    header = heif.read_header(small[:at] + (99_999).to_bytes(4, "big") * 2 + small[at + 8 :])
    assert (header.width, header.height) == (99_999, 99_999)


def test_an_item_without_a_size_is_damaged() -> None:
    with pytest.raises(Damaged, match="without a size"):
        heif.read_header(encoded(corners(), "AVIF").replace(b"ispe", b"free"))


@pytest.mark.parametrize("cut", [60, 200, -10])
def test_a_cut_file_is_damaged(cut: int) -> None:
    with pytest.raises((Damaged, IndexError)):
        heif.read_header(encoded(corners(), "AVIF")[:cut])


def test_colours_by_code_points() -> None:
    nclx = heif.read_nclx(encoded(corners(), "AVIF"))
    assert nclx is not None
    assert (nclx.primaries, nclx.transfer) == (1, 13)


def test_strip_empties_the_metadata_in_place() -> None:
    photo = encoded(corners(), "AVIF", exif=oriented(1), xmp=b"<x>SECRET</x>")
    stripped = heif.strip(photo)
    assert b"SECRETCAM" in photo
    assert b"SECRET" not in stripped
    assert len(stripped) == len(photo)
    assert opened(stripped).tobytes() == opened(photo).tobytes()
    assert not opened(stripped).getexif()


@pytest.mark.parametrize(("span", "full"), [("full", True), ("limited", False)])
def test_range_and_chroma(span: str, full: bool) -> None:
    gray = encoded(corners(), "AVIF", subsampling="4:0:0", range=span)
    nclx = heif.read_nclx(gray)
    assert nclx is not None
    assert nclx.full_range is full
    assert heif.is_monochrome(gray)
    assert not heif.is_monochrome(encoded(corners(), "AVIF"))
