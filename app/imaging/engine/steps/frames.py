"""Steps over the frames of an animation, one by one, so that no frame bleeds into the next."""

from collections.abc import Callable

from app.imaging.engine.vips import GValue, Image

TIMING = {"delay": GValue.array_int_type, "loop": GValue.gint_type}


def each(image: Image, step: Callable[[Image], Image]) -> Image:
    """Do ``step`` to every frame. Each is computed at once: an unfinished frame takes more memory
    than its pixels, and there may be hundreds.

    Delays and loop count stay.
    """
    height = image.get_page_height()
    count = image.height // height
    if count == 1:
        return step(image)
    stepped = [
        step(image.crop(0, number * height, image.width, height)).copy_memory()
        for number in range(count)
    ]
    joined = Image.arrayjoin(stepped, across=1).copy()
    joined.set_type(GValue.gint_type, "page-height", stepped[0].height)
    for field, kind in TIMING.items():
        if image.get_typeof(field):
            joined.set_type(kind, field, image.get(field))
    return joined
