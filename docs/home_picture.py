"""Paints the picture of the home page and lets a running service compress it.

``python -m docs.home_picture http://localhost:8000`` writes ``app/static/pictures``. The page reads
the sizes that it shows from these files.
"""

import base64
import io
import sys
from pathlib import Path
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import requests
from PIL import Image

FOLDER = Path(__file__).resolve().parent.parent / "app" / "static" / "pictures"

WIDTH, HEIGHT = 1600, 1000
HORIZON = 0.735
"""Where the lake begins, as a share of the height."""
SUN = (0.63, 0.335)
Array = npt.NDArray[np.float64]
SKY = np.array([[72, 98, 142], [134, 152, 182], [224, 190, 166], [250, 212, 170]], float)
HAZE = np.array([246.0, 208.0, 170.0])
RIDGES = np.array([[206, 172, 164], [118, 110, 134], [52, 60, 82], [15, 22, 30]], float)
"""The colours of ridges, from the farthest to the nearest."""
dice = np.random.default_rng(12)


def noise(height: int, width: int, cells: int, octaves: int = 6, gain: float = 0.5) -> Array:
    """Fractal noise between 0 and 1; ``cells`` are the widest waves along the width."""
    total, weight = np.zeros((height, width)), 0.0
    for octave in range(octaves):
        across = cells * 2**octave
        down = max(2, round(across * height / width) + 1)
        grid = Image.fromarray(dice.random((down, across + 1)).astype(np.float32))
        layer = np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC), float)
        total += layer * gain**octave
        weight += gain**octave
    return (total - total.min()) / (total.max() - total.min())


def line(cells: int, octaves: int, gain: float = 0.5) -> Array:
    """A ridge as heights between 0 and 1, one for each column."""
    return noise(2, WIDTH, cells, octaves, gain)[0]


def pines(many: int, tallest: float) -> Array:
    """How far trees rise above a ridge, in pixels, for each column."""
    columns, skyline = np.arange(WIDTH), np.zeros(WIDTH)
    for _ in range(many):
        tall = tallest * (0.45 + 0.55 * dice.random())
        away = np.abs(columns - dice.random() * WIDTH + dice.normal(0, 0.4, WIDTH)) / (tall * 0.2)
        branches = 0.09 * np.abs((away * 5 + dice.random()) % 1 - 0.5)
        skyline = np.maximum(skyline, tall * np.clip(1 - away**0.8 - branches, 0, 1))
    return skyline


def sky() -> Array:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    height = np.clip(rows / (HEIGHT * HORIZON), 0, 1)
    stops = np.array([0, 0.42, 0.8, 1.0])
    colour = np.stack([np.interp(height, stops, SKY[:, band]) for band in range(3)], axis=-1)
    distance = np.hypot((columns / WIDTH - SUN[0]) * 1.6, rows / HEIGHT - SUN[1])
    glow = np.exp(-((distance / 0.30) ** 1.3))[..., None]
    colour += glow * np.array([84.0, 58.0, 14.0])
    clouds = noise(HEIGHT * 4, WIDTH, 3, 7, 0.55)[::4]
    cover = np.clip((clouds - 0.47) * 3.4, 0, 1) * np.clip(1.15 - height * 1.1, 0, 1)
    lit = np.array([255.0, 222, 196]) * (0.86 + 0.2 * glow)
    colour += (lit - colour) * (cover * 0.75)[..., None]
    disc = np.clip((0.021 - distance) / 0.002, 0, 1)[..., None]
    return colour * (1 - disc) + np.array([255.0, 250, 226]) * disc


def mountains(picture: Array) -> Array:
    """Ridges from the farthest to the nearest: the nearer, the darker and the sharper."""
    rows = np.arange(HEIGHT)[:, None]
    for layer in range(7):
        near = layer / 6
        ridge = line(2 + layer, 8, 0.48)
        peak = (0.34 + 0.32 * near**0.9) * HEIGHT
        top = peak + (1 - ridge) * HEIGHT * (0.24 - 0.15 * near)
        if layer >= 4:
            top = top - pines((520, 340, 150)[layer - 4], (16, 34, 86)[layer - 4])
        relief = noise(HEIGHT, WIDTH, 5 + 4 * layer, 7, 0.55)
        light = np.gradient(relief, axis=1) * 700 + (relief - 0.5) * 30
        depth = rows - top[None, :]
        base = [np.interp(near, [0, 0.34, 0.67, 1], RIDGES[:, band]) for band in range(3)]
        lit = light * (0.14 + 0.5 * near * (1 - near))
        colour = np.array(base) + lit[..., None] * np.array([1.15, 1.0, 0.86])
        mist = np.clip(depth / (HEIGHT * 0.20), 0, 1) ** 1.2 * (1 - near) ** 0.7
        veil = noise(HEIGHT * 3, WIDTH, 4, 6)[::3]
        colour += (HAZE - colour) * np.clip(mist * (0.35 + 0.8 * veil), 0, 1)[..., None]
        cover = np.clip(depth + 0.5, 0, 1)[..., None]
        picture = picture * (1 - cover) + colour * cover
    return picture


def lake(picture: Array) -> Array:
    """Mirrors what stands above the horizon, the more disturbed the nearer."""
    shore = int(HEIGHT * HORIZON)
    deep = HEIGHT - shore
    near = np.arange(deep)[:, None] / deep
    ripples = noise(deep, WIDTH, 6, 7, 0.6)
    stretched = noise(deep * 8, WIDTH, 12, 7, 0.62)[::8]
    rows = shore - 1 - (np.arange(deep)[:, None] * 1.5 + (stretched - 0.5) * (6 + 90 * near))
    columns = np.arange(WIDTH)[None, :] + (ripples - 0.5) * (4 + 40 * near)
    mirror = picture[
        np.clip(rows, 0, shore - 1).astype(int), np.clip(columns, 0, WIDTH - 1).astype(int)
    ]
    tint = np.array([0.74, 0.80, 0.88])
    sparkle = np.clip((noise(deep * 10, WIDTH, 40, 5, 0.7)[::10] - 0.52) * 6, 0, 1) * np.exp(
        -(((np.arange(WIDTH)[None, :] / WIDTH - SUN[0]) / (0.02 + 0.07 * near)) ** 2)
    )
    water = mirror * tint * (0.94 - 0.28 * near)[..., None]
    water += sparkle[..., None] * np.array([150.0, 118, 76]) * (0.9 - 0.5 * near)[..., None]
    picture = picture.copy()
    picture[shore:] = water
    return picture


def photograph(picture: Array) -> Image.Image:
    """What a lens and a sensor add: a darker border, contrast, grain."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    border = np.hypot(columns / WIDTH - 0.5, rows / HEIGHT - 0.5)
    picture = np.clip(picture * (1.05 - 0.3 * border[..., None] ** 2), 0, 255) / 255
    picture = picture * picture * (3 - 2 * picture) * 0.3 + picture * 0.7
    grain = dice.normal(0, 2.2, (HEIGHT, WIDTH, 1)) + dice.normal(0, 1.1, (HEIGHT, WIDTH, 3))
    return Image.fromarray(np.clip(picture * 255 + grain, 0, 255).astype(np.uint8))


def paint() -> bytes:
    """The picture as a camera would keep it."""
    kept = io.BytesIO()
    photograph(lake(mountains(sky()))).save(kept, "JPEG", quality=95, subsampling=0)
    return kept.getvalue()


def compressed(original: bytes, service: str) -> bytes:
    """What a running service makes of it, asked as customers ask, with a live key."""
    person = {"email": f"picture-{uuid4().hex}@example.com"}
    key = requests.post(f"{service}/auth/register", json=person, timeout=10).json()["apiKey"]
    answer = requests.post(
        f"{service}/compress/batch",
        headers={"x-api-key": key},
        files={"files[]": ("lake.jpg", original)},
        data={"mimeType": "image/webp"},
        timeout=60,
    )
    return base64.b64decode(answer.json()["results"][0]["data"])


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "lake.jpg").write_bytes(original := paint())
    (FOLDER / "lake.webp").write_bytes(compressed(original, sys.argv[1]))
