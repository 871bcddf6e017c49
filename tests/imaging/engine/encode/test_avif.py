from pathlib import Path

import pytest
from PIL import Image as Pillow

from app.config import Settings
from app.imaging import Format, ImageTooLarge, ImagingPool, Limits, Transform
from app.imaging.engine.encode import avif
from app.imaging.engine.vips import Image, from_bytes
from tests.imaging.samples import noise, opened


def test_scale_rises_all_the_way() -> None:
    scaled = [avif.scaled(quality) for quality in range(1, 101)]
    assert scaled == sorted(scaled)
    assert (scaled[0], scaled[79], scaled[99]) == (1, 58, 100)


def test_much_smaller_than_webp_would_be_and_readable() -> None:
    source = noise()
    image = from_bytes(source.tobytes(), *source.size, 3)
    content = avif.encode(image, 80)
    assert opened(content).size == source.size
    assert len(content) < len(avif.encode(image, 95))


@pytest.mark.parametrize(
    ("bands", "height", "said"),
    [(3, 6_001, "60 megapixels;"), (4, 4_001, "40 megapixels with transparency;")],
)
def test_too_many_pixels_for_its_memory(bands: int, height: int, said: str) -> None:
    with pytest.raises(ImageTooLarge, match=said):
        avif.encode(Image.black(10_000, height, bands=bands).copy(interpretation="srgb"), 80)


@pytest.mark.slow
@pytest.mark.parametrize("quality", [80, 95])
@pytest.mark.parametrize(("mode", "width"), [("RGB", 7745), ("RGBA", 6324)])
def test_the_largest_fits_the_memory_and_time_of_a_server(
    tmp_path: Path, mode: str, width: int, quality: int
) -> None:
    """Twice in the same process."""
    settings = Settings(app_env="development")
    limits = Limits(memory_bytes=settings.imaging_memory_mb * 2**20)
    source = tmp_path / "source.png"
    noise(640, 640).resize((width, width)).convert(mode).save(source, compress_level=1)
    if mode == "RGBA":
        with Pillow.open(source) as picture:
            picture.putalpha(Pillow.linear_gradient("L").resize(picture.size))
            picture.save(source, compress_level=1)
    pool = ImagingPool(1, limits)
    try:
        for _ in range(2):
            order = Transform(Format.AVIF, quality=quality)
            result = pool.submit(source, tmp_path / "out", order, "acme").result(60)
            assert (result.width, result.height) == (width, width)
    finally:
        pool.close()


@pytest.mark.parametrize("size", [(16_385, 4), (4, 16_385)])
def test_a_side_that_does_not_fit(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooLarge, match="16,384 pixels a side"):
        avif.encode(Image.black(*size, bands=3).copy(interpretation="srgb"), 80)


@pytest.mark.parametrize("size", [(16_384, 4), (4, 16_384)])
def test_the_longest_side_fits(size: tuple[int, int]) -> None:
    assert avif.encode(Image.black(*size, bands=3).copy(interpretation="srgb"), 80)
