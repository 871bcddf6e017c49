"""The watermark of a test key: rows of words all over a picture, which hide what is under them.

A watermark that is blended in can be taken off again: what it makes of black and of white tells
how. So each pixel is either left as it was or replaced: by letters, or between them by a plate like
frosted glass, which shows only averages of large squares from beside the plate. The picture's size
alone decides their place: a watermark that moved with the pixels, or by chance, could be averaged
away.
"""

import math
from functools import lru_cache

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from app.imaging.engine.steps.watermark import tiled
from app.imaging.engine.vips import Image, from_bytes

WORDS = "LIGHTWELL TEST"
SLOPE = math.radians(30)
# The height of the letters: as a share of the picture's shorter side, and in pixels the least that
# can be read and the most that is worth drawing.
HEIGHT, LEAST, MOST = 1 / 12, 9, 360
# A plate takes this share of the distance between rows, and is so bright compared with what it
# shows.
COVER, SHADE = 0.45, 0.8
# A plate is drawn in so many steps for each height of a letter: finer ones would not show in such
# soft gradients.
STEPS = 24
# With a shorter side below the first, there is no room for words; below the second, none for a
# picture beside stripes.
TINY, LOST = 48, 12
# A period along the rows and columns of a tiny picture: a white stripe, a black one, and the rest
# shows the picture.
STRIPE, PERIOD = 5, 16
BLACK, WHITE = 0, 255


def watermark_for_test(image: Image) -> Image:
    """Put the watermark on an 8-bit picture of sRGB or gray. It shows on any colour, and where the
    picture is transparent."""
    shorter = min(image.width, image.height)
    if shorter < TINY:
        gone, mark = _stripes(image)
    else:
        # A plate's place and what it shows are read separately, and a picture that streams from its
        # decoder is read once, in order.
        image = image.copy_memory()
        gone, mark = _words(image, min(max(LEAST, round(shorter * HEIGHT)), MOST))
    return gone.ifthenelse(mark, image).copy(interpretation=image.interpretation)


def _stripes(image: Image) -> tuple[Image, Image]:
    """Where a tiny picture is replaced, along diagonals, and by what."""
    place = Image.xyz(image.width, image.height)
    number = (place[0] + place[1]) % PERIOD
    gone = number < (PERIOD if min(image.width, image.height) < LOST else 2 * STRIPE)
    return gone, _opaque((number % (2 * STRIPE) < STRIPE).ifthenelse(WHITE, BLACK), image)


def _words(image: Image, height: int) -> tuple[Image, Image]:
    """Where a picture is replaced, and by what: letters of this height on plates."""
    tile = _tile(height)
    layer = tiled(tile, image.width, image.height).crop(0, 0, image.width, image.height)
    plates = _frosted(image, height, tile.height // 2)
    return layer[2], layer[1].ifthenelse(_opaque(layer[0], image), plates, blend=True)


def _opaque(ink: Image, image: Image) -> Image:
    """One band of ink as an opaque picture with the bands of ``image``."""
    return ink.bandjoin([*[ink] * (image.bands - 2), WHITE]) if image.hasalpha() else ink


def _frosted(image: Image, side: int, below: int) -> Image:
    """The averages of squares with ``side`` pixels a side, each shown about ``below`` pixels above
    its place."""
    weighted = image.premultiply() if image.hasalpha() else image
    squares = weighted.shrink(side, side, ceil=True)
    squares = squares.unpremultiply() if image.hasalpha() else squares
    squares = squares.embed(0, -round(below / side), squares.width, squares.height, extend="copy")
    shade = [SHADE] * image.bands
    if image.hasalpha():
        shade[-1] = 1
    step = max(1, side // STEPS)
    across, down = (math.ceil(length / step) for length in (image.width, image.height))
    middle = (side / step - 1) / 2
    soft = (
        (squares * shade)
        .copy_memory()
        .affine(
            [side / step, 0, 0, side / step],
            odx=middle,
            ody=middle,
            oarea=[0, 0, across, down],
            extend="copy",
            premultiplied=True,
        )
    )
    plates = soft.rint().cast("uchar").copy_memory().zoom(step, step)
    return plates.crop(0, 0, image.width, image.height)


@lru_cache(maxsize=1)  # all frames of an animation have the same
def _tile(height: int) -> Image:
    """A tile with three bands: ink, letters and plate. A row of words rises diagonally and goes on
    from tile to tile.

    No letter reaches over its plate.
    """
    font = ImageFont.load_default(height)
    length = font.getlength(WORDS) + height
    across, down = (round(length * side) for side in (math.cos(SLOPE), math.sin(SLOPE)))
    row = _row(font, height, length).rotate(
        math.degrees(math.atan2(down, across)), Pillow.Resampling.BILINEAR, expand=True
    )
    # What leaves the tile on one side comes in again on the other.
    pixels = np.zeros((2, down, 2, across, 2), np.uint8)
    pixels.reshape(2 * down, 2 * across, 2)[: row.height, : row.width] = np.asarray(row)
    ink, letters = np.moveaxis(pixels.max(axis=(0, 2)), -1, 0)
    beside = (np.arange(across) + 0.5 - row.width / 2) / across
    below = (np.arange(down)[:, np.newaxis] + 0.5 - row.height / 2) / down
    distance = beside + below
    plate = np.abs(distance - np.rint(distance)) < COVER / 2
    layers = np.stack([ink, letters * plate, plate * np.uint8(WHITE)], axis=-1)
    return from_bytes(np.ascontiguousarray(layers).tobytes(), across, down, 3)


def _row(
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont, height: int, length: float
) -> Pillow.Image:
    """White words with a black edge."""
    edge = max(1, round(height / 12))
    row = Pillow.new("LA", (math.ceil(length) + 1, 2 * height))
    middle = (row.width / 2, row.height / 2)
    ImageDraw.Draw(row).text(
        middle, WORDS, (WHITE, WHITE), font, "mm", stroke_width=edge, stroke_fill=(BLACK, WHITE)
    )
    return row
