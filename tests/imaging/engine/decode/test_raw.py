"""RAW without a camera: a mosaic made by hand. Real cameras' files are in the corpus."""

from pathlib import Path

import pytest

from app.imaging import Format, ImageTooLarge, Limits, Transform, UnreadableImage, UnsupportedImage
from tests.imaging.samples import CORPUS, converted, dng, opened, pixel

CR2 = CORPUS / "raw" / "photokit_0.3.0__test_raw.cr2"


@pytest.mark.parametrize(
    ("orientation", "size", "red"),
    [(1, (128, 96), (64, 20)), (3, (128, 96), (64, 76)), (6, (96, 128), (76, 64))],
)
def test_the_whole_sensor_upright(
    tmp_path: Path, orientation: int, size: tuple[int, int], red: tuple[int, int]
) -> None:
    picture, result = converted(
        tmp_path, dng(128, 96, orientation), Transform(Format.PNG, quality=100)
    )
    assert (picture.source_format, picture.width, picture.height) == ("raw", *size)
    shown = opened(result).convert("RGB")
    assert shown.size == size
    there, opposite = pixel(shown, *red), pixel(shown, size[0] - 1 - red[0], size[1] - 1 - red[1])
    assert there[0] > 2 * there[2]
    assert opposite[2] > 2 * opposite[0]


@pytest.mark.parametrize("orientation", [1, 6])
def test_half_the_sensor_where_half_is_enough(tmp_path: Path, orientation: int) -> None:
    picture, result = converted(
        tmp_path, dng(400, 300, orientation), Transform(max_width=100, max_height=100)
    )
    assert (picture.width, picture.height) == ((100, 75) if orientation == 1 else (75, 100))
    assert opened(result).size == (picture.width, picture.height)


def test_its_default_is_jpeg(tmp_path: Path) -> None:
    assert converted(tmp_path, dng(128, 96))[0].format is Format.JPEG


def test_limits_hold_before_the_samples_are_unpacked(tmp_path: Path) -> None:
    with pytest.raises(ImageTooLarge):
        converted(tmp_path, dng(128, 96), limits=Limits(max_pixels=128 * 96 - 1))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.99])
def test_a_cut_file_is_refused(tmp_path: Path, share: float) -> None:
    whole = dng(128, 96)
    with pytest.raises((UnreadableImage, UnsupportedImage)):
        converted(tmp_path, whole[: int(len(whole) * share)])


def test_a_raw_that_libraw_does_not_know(tmp_path: Path) -> None:
    with pytest.raises((UnreadableImage, UnsupportedImage)):
        converted(tmp_path, b"\0MRM" + bytes(4000))


@pytest.mark.corpus
@pytest.mark.skipif(not CR2.is_file(), reason="the corpus does not lie beside the project")
def test_the_cameras_own_preview_shows_the_same(tmp_path: Path) -> None:
    small = (
        opened(converted(tmp_path, CR2.read_bytes(), Transform(max_width=400))[1])
        .resize((8, 6))
        .convert("L")
    )
    whole = (
        opened(converted(tmp_path, CR2.read_bytes(), Transform())[1]).resize((8, 6)).convert("L")
    )
    difference = [abs(a - b) for a, b in zip(small.tobytes(), whole.tobytes(), strict=True)]
    assert sum(difference) / len(difference) < 40
