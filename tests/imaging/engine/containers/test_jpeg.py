import pytest

from app.imaging.engine.containers import jpeg
from app.imaging.engine.containers.header import Damaged
from tests.imaging.samples import corners, encoded, noise, opened, oriented


@pytest.mark.parametrize("quality", [20, 30, 50, 75, 92, 100])
def test_estimates_the_quality_it_was_saved_with(quality: int) -> None:
    assert jpeg.read_header(encoded(noise(), "JPEG", quality=quality)).quality == pytest.approx(
        quality, abs=1
    )


@pytest.mark.parametrize("progressive", [False, True])
def test_header(progressive: bool) -> None:
    header = jpeg.read_header(encoded(noise(120, 90), "JPEG", progressive=progressive))
    assert (header.width, header.height) == (120, 90)
    assert (header.scans > 1) == progressive


def test_a_thumbnail_in_the_metadata_counts_for_nothing() -> None:
    thumbnail = encoded(corners(16, 16), "JPEG", progressive=True)
    exif = b"Exif\0\0" + thumbnail
    photo = encoded(noise(120, 90), "JPEG", exif=exif)
    assert thumbnail in photo
    header = jpeg.read_header(photo)
    assert (header.width, header.height, header.scans) == (120, 90, 1)


def test_scans_are_counted_past_tables_that_look_like_markers() -> None:
    photo = encoded(noise(), "JPEG")
    start = photo.index(b"\xff\xda")
    scan = photo[start:-2]
    disguised = b"\xff\xfe\x00\x04\xff\xd9"  # a comment that holds an EOI
    assert jpeg.read_header(photo[:start] + (disguised + scan) * 30 + b"\xff\xd9").scans == 30


def test_a_size_that_the_data_cannot_fill_is_damaged() -> None:
    photo = bytearray(encoded(corners(8, 8), "JPEG"))
    frame = photo.index(b"\xff\xc0")
    photo[frame + 5 : frame + 9] = (60_000).to_bytes(2, "big") * 2
    with pytest.raises(Damaged, match="less data than blocks"):
        jpeg.read_header(bytes(photo))


@pytest.mark.parametrize(
    "content", [b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xe0\x00\x00", b"\xff\xd8" + b"\xff" * 40]
)
def test_no_frame_is_damaged(content: bytes) -> None:
    with pytest.raises(Damaged):
        jpeg.read_header(content)


def test_strip_keeps_pixels_orientation_and_profile_only() -> None:
    photo = encoded(noise(), "JPEG", exif=oriented(6), comment=b"hello", xmp=b"<x>SECRET</x>")
    profile = bytes(range(256)) * 300
    stripped = jpeg.strip(photo + b"trailer SECRET", orientation=6, profile=profile)
    for secret in (b"SECRET", b"hello"):
        assert secret in photo + b"SECRET"
        assert secret not in stripped
    picture = opened(stripped)
    assert picture.tobytes() == opened(photo).tobytes()
    assert dict(picture.getexif()) == {274: 6}
    assert picture.info["icc_profile"] == profile


def test_strip_keeps_the_transform_flag_of_cmyk() -> None:
    photo = encoded(corners().convert("CMYK"), "JPEG")
    stripped = jpeg.strip(photo, orientation=1, profile=None)
    assert opened(stripped).tobytes() == opened(photo).tobytes()
    assert b"Exif" not in stripped
