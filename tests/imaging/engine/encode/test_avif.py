import pytest

from app.imaging import ImageTooLarge
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


def test_too_many_pixels_for_its_memory() -> None:
    with pytest.raises(ImageTooLarge, match="60 megapixels"):
        avif.encode(Image.black(10_000, 6_001, bands=3).copy(interpretation="srgb"), 80)


@pytest.mark.parametrize("size", [(16_385, 4), (4, 16_385)])
def test_a_side_that_does_not_fit(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooLarge, match="16,384 pixels a side"):
        avif.encode(Image.black(*size, bands=3).copy(interpretation="srgb"), 80)


@pytest.mark.parametrize("size", [(16_384, 4), (4, 16_384)])
def test_the_longest_side_fits(size: tuple[int, int]) -> None:
    assert avif.encode(Image.black(*size, bands=3).copy(interpretation="srgb"), 80)
