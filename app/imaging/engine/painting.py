"""The pictures that test keys get for a prompt: its words on a gradient, drawn without any
network."""

import hashlib
from html import escape
from pathlib import Path

from app.imaging.engine.files import write
from app.imaging.engine.steps.resize import resize
from app.imaging.engine.vips import Image, from_bytes
from app.imaging.formats import Format
from app.imaging.transform import Painting, Picture

WHITE = 255
# The height of a line, and the room for the words, as shares of the picture's side.
LINE, ROOM = 1 / 20, 4 / 5


def paint(target: Path, painting: Painting) -> Picture:
    """Write a PNG of 8-bit sRGB into ``target``. OSError where it can't be written."""
    side = painting.side
    picture = _words(painting).ifthenelse(WHITE, _gradient(painting), blend=True)
    content = bytes(picture.pngsave_buffer(compression=3, keep="none"))
    write(target, content)
    return Picture(
        Format.PNG, side, side, len(content), kept_original=False, source_format="png", frames=1
    )


def _gradient(painting: Painting) -> Image:
    """Four dark colours, one for each corner, by a hash of all words and the seed."""
    text = f"{painting.prompt}\0{painting.negative_prompt}\0{painting.seed}"
    digest = hashlib.sha256(text.encode(errors="replace")).digest()
    corners = from_bytes(bytes(value // 2 for value in digest[:12]), 2, 2, 3)
    return resize(corners, painting.side, painting.side)


def _words(painting: Painting) -> Image:
    """The prompt as a mask, wrapped, and cut off where there is no more room for it."""
    side, room = painting.side, round(painting.side * ROOM)
    prompt = "".join(letter if letter.isprintable() else " " for letter in painting.prompt)
    # libvips fails on a text without ink, so there are always the quotation marks.
    words = Image.text(
        f"“{escape(prompt)}”",
        font=f"sans {max(1, round(side * LINE))}",
        dpi=72,
        width=room,
        wrap="word-char",
        align="centre",
    )
    return words.crop(0, 0, words.width, min(words.height, room)).gravity("centre", side, side)
