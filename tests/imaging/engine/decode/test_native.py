import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.imaging import Format, Transform, UnsupportedImage
from app.imaging.engine.vips import from_bytes
from tests.imaging.samples import converted, corners, encoded, opened


def tiff(folder: Path, samples: np.ndarray, interpretation: str) -> bytes:
    """A TIFF of any number of bands, which Pillow can't write."""
    path = folder / "made.tif"
    height, width, bands = samples.shape
    wide = samples.dtype == np.uint16
    from_bytes(samples.tobytes(), width, height, bands, wide=wide).copy(
        interpretation=interpretation
    ).tiffsave(str(path))
    return path.read_bytes()


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_tiffs_without_a_named_space(tmp_path: Path, kind: type, bands: int) -> None:
    value = 200 if kind is np.uint8 else 200 * 257
    content = tiff(tmp_path, np.full((9, 9, bands), value, kind), "multiband")
    _, result = converted(tmp_path, content, Transform(Format.PNG, quality=100))
    assert np.abs(np.asarray(opened(result).convert("RGB"), int) - 200).max() <= 1


def tiff_of(bits: int, compression: int) -> bytes:
    """A gray TIFF of 64 x 64 samples, in one strip."""
    data = bytes(64 * 64 * 2)
    tags = ((256, 64), (257, 64), (258, bits), (259, compression), (262, 1), (273, 134), (277, 1),
            (278, 64), (279, len(data)))  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4 + 12) + data


def jpeg_of(bits: int) -> bytes:
    photo = bytearray(encoded(corners(), "JPEG"))
    photo[photo.index(b"\xff\xc0") + 4] = bits
    return bytes(photo)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tiff_of(12, 1), "no whole number of bytes, such as 12 bits"),
        (tiff_of(8, 50000), "compressed with ZSTD"),
        (jpeg_of(12), "This JPEG has 12 bits a sample"),
    ],
)
def test_a_variant_that_is_not_read_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(UnsupportedImage, match=reason):
        converted(tmp_path, content)
    assert converted(tmp_path, tiff_of(16, 1))[0].width == 64


def test_floats_beyond_one_are_stretched(tmp_path: Path) -> None:
    ramp = Image.fromarray(
        np.linspace(-50, 950, 256, dtype=np.float32).reshape(1, 256).repeat(16, 0)
    )
    _, result = converted(tmp_path, encoded(ramp, "TIFF"), Transform(Format.PNG, quality=100))
    gray = np.asarray(opened(result).convert("L"), int)[8]
    assert (gray[0], gray[255]) == (0, 255)
    assert (np.diff(gray) >= 0).all()


def test_a_large_webp_is_scaled_while_decoding(tmp_path: Path) -> None:
    picture, result = converted(
        tmp_path, encoded(corners(1600, 960), "WEBP"), Transform(max_width=100)
    )
    assert (picture.width, picture.height) == opened(result).size == (100, 60)


def test_no_hidden_colour_of_a_webp_bleeds_into_its_edge(tmp_path: Path) -> None:
    """A red disc on white that nobody sees. Pillow's premultiplied mode says what is right."""
    y, x = np.mgrid[:512, :512]
    samples = np.full((512, 512, 4), (255, 255, 255, 0), np.uint8)
    samples[(x - 256) ** 2 + (y - 256) ** 2 < 200**2] = (220, 20, 20, 255)
    disc = encoded(Image.fromarray(samples), "WEBP", quality=90, exact=True)
    for side in (100, 160, 250):
        small = Transform(Format.PNG, quality=100, max_width=side)
        _, result = converted(tmp_path, disc, small)
        wanted = opened(disc).convert("RGBa").resize((side, side), Image.Resampling.LANCZOS)
        seen, right = edge(opened(result)), edge(wanted.convert("RGBA"))
        assert np.abs(seen - right).max() <= 4


def edge(picture: Image.Image) -> np.ndarray:
    """The mean colour of what is partly transparent."""
    pixels = np.asarray(picture.convert("RGBA"), int)
    alpha = pixels[..., 3]
    return np.asarray(pixels[(alpha > 60) & (alpha < 250), :3].mean(0))
