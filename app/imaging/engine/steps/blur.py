"""Blur by a Gaussian: a narrow one at full size, a wide one on a smaller copy, which costs less and
looks the same."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from app.imaging.engine.vips import Image, from_bytes

# A picture is made smaller until the standard deviation is between this many pixels and twice as
# many. At 1.5 hard edges are 5 levels of 255 off, at 2 they are 3.
NARROW = 2
# Pixels further away than this, in standard deviations, weigh less than one level of 255.
REACH = 3.5
# Whole weights may be off by so many levels of 255 along each side, half a level of it by rounding.
# The largest weight is tried at these values until one fits.
TOLERANCE, SCALES = 1.0, range(20, 256, 5)


def blur(image: Image, sigma: float) -> Image:
    """Convolve an 8-bit picture with a Gaussian of ``sigma`` pixels. Beyond its edge it
    continues as at the edge.

    Colours are weighted by their alpha, so that invisible ones don't shine through.
    """
    if image.hasalpha():
        return _blur(image.premultiply(), sigma).unpremultiply().rint().cast("uchar")
    return _blur(image, sigma).rint().cast("uchar")


def _blur(image: Image, sigma: float) -> Image:
    factor = 2 ** max(0, math.floor(math.log2(sigma / NARROW)))
    if factor == 1:
        return _convolve(image, sigma)
    # A whole block of the edge's own pixels on each side makes the smaller copy continue as the
    # picture does.
    across, down = (factor * (math.ceil(side / factor) + 2) for side in (image.width, image.height))
    padded = image.embed(factor, factor, across, down, extend="copy")
    small = padded.cast("float").shrink(factor, factor).copy_memory()
    # Averages of blocks, enlarged linearly, are blurred already, with a variance of a quarter of a
    # block.
    blurred = _convolve(small, math.sqrt((sigma / factor) ** 2 - 0.25))
    return _enlarge(blurred, factor, image.width, image.height)


def _convolve(image: Image, sigma: float) -> Image:
    if image.format == "uchar" and (mask := _integers(sigma)):
        return image.convsep(mask, precision="integer")
    return image.convsep(Image.new_from_array([list(_weights(sigma))]), precision="float")


def _weights(sigma: float) -> NDArray[np.float64]:
    reach = math.ceil(REACH * sigma)
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    normal: NDArray[np.float64] = weights / weights.sum()
    return normal


@lru_cache(maxsize=64)
def _integers(sigma: float) -> Image | None:
    """Whole weights, which libvips adds up ten times as fast; None where none come near enough.

    libvips rounds them once more, to few bits, which may make a picture brighter or darker. So
    several scales are tried on steps between levels.
    """
    exact = _weights(sigma)
    room = len(exact)
    levels = np.repeat(np.array([0, 255, 128, 191, 64, 255, 32, 0], np.uint8), room)
    probe = from_bytes(levels.tobytes(), len(levels), 1, 1)
    wanted = probe.convsep(Image.new_from_array([list(exact)]), precision="float").numpy()
    for largest in SCALES:
        whole = np.trim_zeros(np.rint(exact / exact.max() * largest))
        mask = Image.new_from_array([list(whole)], scale=float(whole.sum()))
        if np.abs(probe.convsep(mask, precision="integer").numpy() - wanted).max() < TOLERANCE:
            return mask
    return None


def _enlarge(small: Image, factor: int, width: int, height: int) -> Image:
    """Enlarge linearly what is inside the padding."""
    before = (factor - 1) / 2 - factor
    return small.affine(
        [factor, 0, 0, factor],
        odx=before,
        ody=before,
        oarea=[0, 0, width, height],
        extend="copy",
        premultiplied=True,
    )
