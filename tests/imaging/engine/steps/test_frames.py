import numpy as np

from app.imaging.engine.steps import frames
from app.imaging.engine.steps.resize import resize
from app.imaging.engine.vips import GValue, Image, from_bytes


def stack(*values: int) -> Image:
    pixels = np.concatenate([np.full((30, 20, 3), value, np.uint8) for value in values])
    image = from_bytes(pixels.tobytes(), 20, 30 * len(values), 3).copy()
    image.set_type(GValue.gint_type, "page-height", 30)
    image.set_type(GValue.array_int_type, "delay", [10 * value for value in values])
    image.set_type(GValue.gint_type, "loop", 7)
    return image


def test_frames_do_not_bleed_and_keep_their_timing() -> None:
    stepped = frames.each(stack(0, 255, 0), lambda image: resize(image, 7, 11))
    assert (stepped.width, stepped.height, stepped.get("page-height")) == (7, 33, 11)
    assert [set(np.unique(part)) for part in np.split(stepped.numpy(), 3)] == [{0}, {255}, {0}]
    assert stepped.get("delay") == [0, 2550, 0]
    assert stepped.get("loop") == 7


def test_a_still_is_one_frame() -> None:
    still = from_bytes(bytes(12), 2, 2, 3)
    assert frames.each(still, lambda image: image) is still
