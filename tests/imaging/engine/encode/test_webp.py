import pytest

from app.imaging import ImageTooLarge
from app.imaging.engine.encode import webp
from app.imaging.engine.vips import Image, from_bytes
from tests.imaging.samples import noise, opened


def test_lossless() -> None:
    source = noise()
    image = from_bytes(source.tobytes(), *source.size, 3)
    assert (
        opened(webp.encode(image, 100, lossless=True)).convert("RGB").tobytes() == source.tobytes()
    )
    assert len(webp.encode(image, 80, lossless=False)) < 0.3 * len(
        webp.encode(image, 100, lossless=True)
    )


@pytest.mark.parametrize("size", [(16_384, 1), (1, 16_384)])
def test_a_side_that_does_not_fit(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooLarge, match="16,383"):
        webp.encode(Image.black(*size, bands=3).copy(interpretation="srgb"), 80, lossless=False)
