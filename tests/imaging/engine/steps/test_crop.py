import numpy as np

from app.imaging.engine.steps.crop import crop
from app.imaging.engine.vips import from_bytes
from app.imaging.operations import Crop
from tests.imaging.samples import noise


def test_exactly_the_pixels_between_the_corners() -> None:
    pixels = np.asarray(noise())
    image = from_bytes(pixels.tobytes(), 256, 192, 3)
    assert (crop(image, Crop(3, 5, 100, 64)).numpy() == pixels[5:64, 3:100]).all()
    assert (crop(image, Crop(255, 191, 256, 192)).numpy() == pixels[191:, 255:]).all()
    assert (crop(image, Crop(0, 0, 256, 192)).numpy() == pixels).all()
