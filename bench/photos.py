"""The photos of the measurements: real ones if they lie next to the project, else generated
ones."""

import io
import math
import random
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw

REAL = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "photos"
MADE_SIZES = ((4000, 3000), (3264, 2448), (2848, 4272), (4032, 2268), (3600, 2400), (4000, 3000))
ORIENTATION = 0x0112
"""Exif's tag."""


@dataclass(frozen=True)
class Photo:
    """A file and its size in pixels, as stored."""

    path: Path
    width: int
    height: int

    @property
    def megapixels(self) -> float:
        return self.width * self.height / 1e6


def find_photos(folder: Path) -> tuple[list[Photo], str]:
    """Return the photos and a description of them. The largest come first, so that no round ends on
    a single long one.

    Generated photos are written to ``folder``.
    """
    paths = [path for path in REAL.glob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".webp")]
    kind = "real" if paths else "made on the spot"
    photos = sorted(map(_measured, paths or _make(folder)), key=lambda photo: -photo.megapixels)
    formats = sorted({photo.path.suffix.lower().removeprefix(".") for photo in photos})
    total = sum(photo.megapixels for photo in photos)
    return photos, f"{len(photos)} {kind} ({', '.join(formats)}), {total:.0f} megapixels"


def as_jpeg(photo: Photo, megapixels: float) -> bytes:
    """Return the photo as a JPEG of at most ``megapixels``, with its orientation kept."""
    with Image.open(photo.path) as image:
        scale = min(1.0, math.sqrt(megapixels / photo.megapixels))
        small = image.convert("RGB").resize(
            (round(photo.width * scale), round(photo.height * scale))
        )
        exif = Image.Exif()
        exif[ORIENTATION] = image.getexif().get(ORIENTATION, 1)
        content = io.BytesIO()
        small.save(
            content, "JPEG", quality=92, exif=exif, icc_profile=image.info.get("icc_profile")
        )
    return content.getvalue()


def marked(jpeg: bytes, mark: str) -> bytes:
    """The same picture in other bytes: with a comment (ITU-T T.81, B.2.4.5)."""
    comment = mark.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + jpeg[2:]


def _measured(path: Path) -> Photo:
    with Image.open(path) as image:
        return Photo(path, *image.size)


def _make(folder: Path) -> list[Path]:
    """8–12 megapixels each, the same in every run: JPEG as cameras write it, one of them turned,
    and one WebP."""
    paths = []
    for number, size in enumerate(MADE_SIZES):
        image = _scene(random.Random(number), size)
        path = folder / f"made-{number}.{'webp' if number == 0 else 'jpg'}"
        exif = Image.Exif()
        exif[ORIENTATION] = 8 if number == 1 else 1
        image.save(path, quality=92, exif=exif)
        paths.append(path)
    return paths


def _scene(chance: random.Random, size: tuple[int, int]) -> Image.Image:
    """Clouds of every size (a photo's spectrum falls with frequency), things with edges in it, a
    sensor's noise."""
    image = Image.new("RGB", size, (128, 128, 128))
    for cells, strength in ((3, 0.8), (9, 0.45), (31, 0.3), (127, 0.16), (511, 0.08)):
        image = Image.blend(image, _clouds(chance, size, cells), strength)
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y, reach = (
            chance.randrange(size[0]),
            chance.randrange(size[1]),
            chance.randrange(30, 400),
        )
        corners = [
            (x + chance.randint(-reach, reach), y + chance.randint(-reach, reach)) for _ in range(5)
        ]
        draw.polygon(corners, fill=tuple(chance.choices(range(256), k=3)))
    grain = Image.frombytes("L", size, chance.randbytes(size[0] * size[1])).point(
        lambda value: value // 32
    )
    return ImageChops.subtract(image, Image.merge("RGB", (grain, grain, grain)))


def _clouds(chance: random.Random, size: tuple[int, int], cells: int) -> Image.Image:
    small = (cells, max(2, cells * size[1] // size[0]))
    noise = Image.frombytes("RGB", small, chance.randbytes(3 * small[0] * small[1]))
    return noise.resize(size, Image.Resampling.BICUBIC)
