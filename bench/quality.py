"""Bytes at equal quality: both sides encode every photo at several qualities, and SSIMULACRA2
scores each result."""

import base64
import io
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageCms, ImageOps

from bench.client import form
from bench.jobs import Job
from bench.photos import Photo
from bench.server import HttpSide

QUALITIES = (0.6, 0.7, 0.8, 0.88)
USUAL = 0.8
WIDTH = 1280
STEPS = 20


@dataclass(frozen=True)
class Encoded:
    """A side's result for a photo at a quality: its file, its bytes, and its SSIMULACRA2 score (100
    is identical)."""

    side: str
    photo: str
    quality: float
    size: int
    score: float


@dataclass(frozen=True)
class Comparison:
    """Two sides over all photos: geometric means of bytes (ours over theirs), and medians of the
    scores at 0.8.

    ``at_equal_score`` compares bytes at the scores that both reach with a photo, averaged over
    them; ``by_photo`` has the same for each. Photos without such scores are left out and counted in
    ``apart``.
    """

    at_equal_score: float
    at_equal_quality: float
    our_score: float
    their_score: float
    by_photo: dict[str, float]
    apart: int


def encode_and_score(
    sides: Sequence[HttpSide], photos: Sequence[Photo], folder: Path
) -> list[Encoded]:
    """Every photo by every side at every quality, over HTTP, ``WIDTH`` pixels wide."""
    pairs: list[tuple[Path, Path]] = []
    found: list[tuple[str, str, float, int]] = []
    for photo in photos:
        for side in sides:
            for quality in QUALITIES:
                picture = folder / f"{side.name}-{quality}-{photo.path.name}"
                picture.write_bytes(_compress(side, photo, quality))
                found.append((side.name, photo.path.name, quality, picture.stat().st_size))
                pairs.append((_reference(photo, picture, folder), picture))
    return [Encoded(*facts, score) for facts, score in zip(found, _scores(pairs), strict=True)]


def compare(encoded: Sequence[Encoded], ours: str, theirs: str) -> Comparison:
    by_photo: dict[str, float] = {}
    names = sorted({one.photo for one in encoded})
    for name in names:
        curves = [
            [one for one in encoded if (one.side, one.photo) == (side, name)]
            for side in (ours, theirs)
        ]
        if (ratio := _ratio(*curves)) is not None:
            by_photo[name] = ratio
    usual = [
        {one.photo: one for one in encoded if (one.side, one.quality) == (side, USUAL)}
        for side in (ours, theirs)
    ]
    return Comparison(
        at_equal_score=statistics.geometric_mean(by_photo.values()) if by_photo else math.nan,
        at_equal_quality=statistics.geometric_mean(
            usual[0][name].size / usual[1][name].size for name in names
        ),
        our_score=statistics.median(one.score for one in usual[0].values()),
        their_score=statistics.median(one.score for one in usual[1].values()),
        by_photo=by_photo,
        apart=len(names) - len(by_photo),
    )


def _compress(side: HttpSide, photo: Photo, quality: float) -> bytes:
    connection = side.server.connect()
    answer = side.server.send(connection, *form(Job(quality, WIDTH).fields, [photo.path]))
    connection.close()
    return base64.b64decode(json.loads(answer)["results"][0]["data"])


def _reference(photo: Photo, picture: Path, folder: Path) -> Path:
    """The original at the picture's size, upright and in sRGB, by Pillow's Lanczos, which neither
    side uses."""
    with Image.open(picture) as small:
        size = small.size
    target = folder / f"{photo.path.name}-{size[0]}x{size[1]}.png"
    if not target.exists():
        with Image.open(photo.path) as image:
            profile = image.info.get("icc_profile")
            upright = ImageOps.exif_transpose(image).convert("RGB")
        if profile:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            ImageCms.profileToProfile(upright, source, ImageCms.createProfile("sRGB"), inPlace=True)
        upright.resize(size, Image.Resampling.LANCZOS).save(
            target, compress_level=1, icc_profile=None
        )
    return target


def _scores(pairs: Sequence[tuple[Path, Path]]) -> list[float]:
    """Shared out among one process a core, in turn, so that each gets as many large ones."""
    lines = [f"{reference}\t{picture}\n" for reference, picture in pairs]
    shares = [lines[start :: _cores()] for start in range(_cores())]
    with ThreadPoolExecutor(_cores()) as threads:
        scored = list(threads.map(_score, shares))
    return [scored[number % _cores()][number // _cores()] for number in range(len(lines))]


def _score(lines: Sequence[str]) -> list[float]:
    command = [sys.executable, "-m", "bench.score"]
    done = subprocess.run(
        command, input="".join(lines), stdout=subprocess.PIPE, text=True, check=True
    )
    return [float(line) for line in done.stdout.splitlines()]


def _cores() -> int:
    return os.cpu_count() or 1


def _ratio(ours: Sequence[Encoded], theirs: Sequence[Encoded]) -> float | None:
    """Our bytes over theirs, averaged (in logarithms, as BD-rate does) over the scores that both
    sides reach."""
    low = max(min(one.score for one in curve) for curve in (ours, theirs))
    high = min(max(one.score for one in curve) for curve in (ours, theirs))
    if low >= high:
        return None
    scores = [low + (high - low) * step / STEPS for step in range(STEPS + 1)]
    return math.exp(
        statistics.fmean(_log_bytes(ours, score) - _log_bytes(theirs, score) for score in scores)
    )


def _log_bytes(curve: Sequence[Encoded], score: float) -> float:
    """The logarithm of the bytes at a score, between the two nearest that were measured."""
    points = sorted((one.score, math.log(one.size)) for one in curve)
    for (score0, bytes0), (score1, bytes1) in pairwise(points):
        if score0 <= score <= score1:
            return bytes0 + (bytes1 - bytes0) * (score - score0) / (score1 - score0 or 1)
    return points[-1][1] if score > points[-1][0] else points[0][1]
