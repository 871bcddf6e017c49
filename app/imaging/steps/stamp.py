"""The mark of a test key: words and lines all over a picture, which anybody can read and nobody would publish."""

import math
from functools import lru_cache

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from app.imaging.steps.watermark import over, tiled
from app.imaging.vips import Image, from_bytes

WORDS = "LIGHTWELL TEST"
SLOPE = math.radians(30)
# How much of the picture the mark hides where it is, 0-255.
STRENGTH = 170
# Of the letters: for each pixel of the picture's shorter side; and, in pixels, the least that can be read, and what is
# seen on the thumbnail of the largest picture.
HEIGHT, LEAST, MOST = 1 / 14, 9, 240
# With a shorter side than this there is no room for words.
TINY = 24
BLACK, WHITE = 0, 255

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def stamp(image: Image) -> Image:
    """Mark an 8-bit picture of sRGB or gray so that it shows on any colour, and where it is transparent."""
    tiny = min(image.width, image.height) < TINY
    return over(image, _stripes(image) if tiny else _words(image))


def _words(image: Image) -> Image:
    """A layer of words and lines, as large as the picture."""
    height = round(min(image.width, image.height) * HEIGHT)
    tile = _tile(min(max(LEAST, height), MOST))
    tile = tile if image.bands < 3 else tile.colourspace("srgb")
    return tiled(tile, image.width, image.height).crop(0, 0, image.width, image.height)


def _stripes(image: Image) -> Image:
    """A layer of diagonal stripes, white where the picture is dark and black where it is bright."""
    colours = image.extract_band(0, n=image.bands - 1) if image.hasalpha() else image
    place = Image.xyz(image.width, image.height)
    stripes = ((place[0] + place[1]) % 4 < 2).ifthenelse(STRENGTH, 0)
    return (colours < 128).bandjoin(stripes).copy(interpretation=image.interpretation)


@lru_cache(maxsize=1)  # all frames of an animation have the same
def _tile(height: int) -> Image:
    """Gray and alpha: a row of words and a line on the rising diagonal, that go on from tile to tile."""
    font = ImageFont.load_default(height)
    length = font.getlength(WORDS) + height
    across, down = (round(length * side) for side in (math.cos(SLOPE), math.sin(SLOPE)))
    row = _row(font, height, length, across * down / length)
    row = row.rotate(math.degrees(math.atan2(down, across)), Pillow.Resampling.BILINEAR, expand=True)
    # What stands out on one side comes in again on the other.
    pixels = np.zeros((2, down, 2, across, 2), np.uint8)
    pixels.reshape(2 * down, 2 * across, 2)[: row.height, : row.width] = np.asarray(row)
    return from_bytes(pixels.max(axis=(0, 2)).tobytes(), across, down, 2)


def _row(font: Font, height: int, length: float, distance: float) -> Pillow.Image:
    """White words with a black edge, and a line above them in the middle between this row and the next."""
    edge = max(1, round(height / 12))
    row = Pillow.new("LA", (math.ceil(length) + 1, math.ceil(distance) + 4 * edge))
    draw = ImageDraw.Draw(row)
    line = 2 * edge
    middle = line + distance / 2
    for ink, width in ((BLACK, 2 * edge), (WHITE, edge // 2)):
        colour = (ink, STRENGTH)
        draw.text((row.width / 2, middle), WORDS, colour, font, "mm", stroke_width=width)
        draw.rectangle((0, line - width // 2, row.width, line + width // 2), colour)
    return row
