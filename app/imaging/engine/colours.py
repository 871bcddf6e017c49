"""The dominant colours of a small picture."""

from io import BytesIO

import numpy as np
from PIL import Image as Pillow

from app.imaging.details import Colour

SIDE = 64
CANDIDATES = 24
MOST_COLOURS = 6
LEAST_SHARE = 0.01
ALIKE = 0.09
"""Colours nearer than this in OKLab count as one: people call them by the same name."""
LINEAR_TO_LMS = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
])  # fmt: skip
LMS_TO_OKLAB = np.array([
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
])  # fmt: skip


def dominant(content: bytes) -> tuple[Colour, ...]:
    """Up to six colours of a WebP picture that this service made, by how much of it they fill.
    What is transparent does not count."""
    with Pillow.open(BytesIO(content), formats=["WEBP"]) as picture:
        picture.draft("RGB", (SIDE, SIDE))
        small = picture.convert("RGBA")
    small.thumbnail((SIDE, SIDE), Pillow.Resampling.BOX)
    pixels = np.asarray(small).reshape(-1, 4)
    seen = pixels[pixels[:, 3] >= 128][:, :3]
    if not len(seen):
        return ()
    row = Pillow.fromarray(np.ascontiguousarray(seen[np.newaxis]))
    reduced = row.quantize(CANDIDATES, kmeans=1)
    palette = np.array(reduced.getpalette()).reshape(-1, 3)
    counts = np.bincount(np.asarray(reduced).ravel(), minlength=len(palette))[: len(palette)]
    return _merged(palette, counts)


def _merged(palette: np.ndarray, counts: np.ndarray) -> tuple[Colour, ...]:
    """Each candidate joins the most frequent one that looks alike."""
    places = oklab(palette)
    found: list[int] = []
    shares = np.zeros(len(palette))
    for one in np.argsort(-counts, kind="stable"):
        if not counts[one]:
            break
        near = [other for other in found if np.linalg.norm(places[other] - places[one]) < ALIKE]
        if not near:
            found.append(one)
        shares[near[0] if near else one] += counts[one] / counts.sum()
    found.sort(key=lambda one: -shares[one])
    return tuple(
        Colour("#{:02x}{:02x}{:02x}".format(*palette[one]), round(float(shares[one]), 3))
        for one in found[:MOST_COLOURS]
        if shares[one] >= LEAST_SHARE
    )


def oklab(colours: np.ndarray) -> np.ndarray:
    """sRGB from 0 to 255 as OKLab (Ottosson 2020), where distances are those that people see."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ LINEAR_TO_LMS.T) @ LMS_TO_OKLAB.T)
