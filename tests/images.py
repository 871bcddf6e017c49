"""Pictures made on the spot, so that the tests need no files."""

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image


@lru_cache
def photo(width: int = 640, height: int = 480, seed: int = 1) -> Image.Image:
    """Something photo-like: smooth light, a few edges, some grain."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    light = 128 + 90 * np.sin(x / width * 5 + seed) * np.cos(y / height * 4)
    edges = 40 * ((x // max(1, width // 5) + y // max(1, height // 4)) % 2)
    channels = [
        light * gain + edges + random.normal(0, 6, (height, width)) for gain in (1.0, 0.8, 0.6)
    ]
    return Image.fromarray(np.clip(np.stack(channels, axis=-1), 0, 255).astype("uint8"))


@lru_cache
def encoded(
    format: str = "JPEG", width: int = 640, height: int = 480, seed: int = 1, **options: object
) -> bytes:
    buffer = BytesIO()
    default: dict[str, object] = {"quality": 95} if format == "JPEG" else {}
    photo(width, height, seed).save(buffer, format, **(default | options))
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image
