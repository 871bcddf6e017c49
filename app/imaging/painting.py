"""The local painter: landscapes of hills, light and water, made of a prompt's words and a seed,
without any network.

Uses sums, products and roots of doubles only, which come out the same on every processor.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from app.imaging.files import write
from app.imaging.formats import Format
from app.imaging.transform import Painting, Picture
from app.imaging.vips import from_bytes

Plane = NDArray[np.float64]
GRAIN = 4 / 255


@dataclass(frozen=True)
class Scene:
    """The words that call for it, its colours as RRGGBB, and what is in it besides hills."""

    words: str
    zenith: str
    horizon: str
    light: str
    ground: str
    water: bool = False
    firs: bool = False
    stars: bool = False


SCENES = (
    Scene(
        "morning dawn sunrise spring mist fog soft pastel", "7fa6c9", "f6d9c8", "fff3dc", "3d5a6c"
    ),
    Scene(
        "day summer sky sun sunny meadow field hill hills green",
        "3f87c7",
        "d6ecf3",
        "ffffff",
        "2f6b3f",
    ),
    Scene("evening sunset dusk fire warm orange red", "4a3b78", "ff9d5c", "ffe9a8", "2b1b3a"),
    Scene(
        "night midnight moon star stars space dark",
        "0b1230",
        "3c4f86",
        "e9eeff",
        "060a1c",
        stars=True,
    ),
    Scene(
        "water sea ocean lake river beach coast island blue",
        "3d7fb8",
        "ffe3c2",
        "fff6df",
        "1f4e66",
        water=True,
    ),
    Scene(
        "forest forests wood woods tree trees pine jungle",
        "6b93a0",
        "e5ead2",
        "fffbe6",
        "12302a",
        firs=True,
    ),
    Scene(
        "winter snow ice cold mountain mountains alps white",
        "6f93bd",
        "eef3fa",
        "ffffff",
        "5a7898",
        firs=True,
    ),
    Scene("desert dune dunes sand canyon hot dry", "4f9fc4", "fbe0b0", "fff8e0", "a8512b"),
    Scene(
        "autumn fall leaf leaves gold golden brown",
        "8aa1b5",
        "fbe3ba",
        "fff1c9",
        "7a3b1c",
        firs=True,
    ),
    Scene(
        "dream magic fantasy purple violet pink",
        "2a1a5e",
        "f29ac0",
        "ffe3f4",
        "24104a",
        water=True,
        stars=True,
    ),
)


def paint(target: Path, painting: Painting) -> Picture:
    """Draw a landscape into ``target``, a PNG of 8-bit sRGB. OSError where it can't be written."""
    side = painting.side
    levels = (_landscape(painting) * 255).round().clip(0, 255).astype(np.uint8)
    content = bytes(
        from_bytes(levels.tobytes(), side, side, 3).pngsave_buffer(compression=3, keep="none")
    )
    write(target, content)
    return Picture(
        Format.PNG, side, side, len(content), kept_original=False, source_format="png", frames=1
    )


def _landscape(painting: Painting) -> Plane:
    """Height x width x RGB, 0-1 give or take a little."""
    words = f"{painting.prompt}\0{painting.negative_prompt}\0{painting.seed}"
    random = Generator(PCG64(int.from_bytes(hashlib.sha256(words.encode()).digest())))
    scene, side = _chosen(painting, random), painting.side
    horizon = random.uniform(0.48, 0.62)
    picture = _sky(scene, side, horizon, random)
    shore = round(horizon * side) if scene.water else side
    count, depth, rough = (3, 0.05, 0.09) if scene.water else (6, 0.42, 0.13)
    for near in (np.arange(count) + 1) / count:
        level = horizon - 0.06 + depth * near * near
        ridge = level + rough * (_noise(random, side, 3 + round(6 * near)) - 0.62)
        if scene.firs and near > 0.5:
            ridge -= _firs(random, side, 0.02 + 0.05 * near * near)
        _raise(picture[:shore], scene, ridge * side, level * side, near)
    if scene.water:
        _reflect(picture, shore, scene, random)
    return picture + GRAIN * (random.random((side, side, 1)) - 0.5)


def _chosen(painting: Painting, random: Generator) -> Scene:
    """One of those that most words call for and no word of the negative prompt excludes."""
    wanted, unwanted = (
        set(re.findall("[a-z]+", text.lower()))
        for text in (painting.prompt, painting.negative_prompt)
    )
    allowed = [scene for scene in SCENES if unwanted.isdisjoint(scene.words.split())] or SCENES
    calls = [len(wanted.intersection(scene.words.split())) for scene in allowed]
    best = [scene for scene, count in zip(allowed, calls, strict=True) if count == max(calls)]
    return best[random.integers(len(best))]


def _sky(scene: Scene, side: int, horizon: float, random: Generator) -> Plane:
    """A gradient, stars, clouds, and the sun or moon with its glow."""
    places = (np.arange(side) + 0.5) / side
    x, y = places[None, :], places[:, None]
    zenith, light = _rgb(scene.zenith), _rgb(scene.light)
    down = _eased((y / horizon).clip(0, 1))
    picture = np.repeat(zenith + (_rgb(scene.horizon) - zenith) * down[..., None], side, axis=1)
    if scene.stars:
        picture += (
            (1 - down[..., None]) * (random.random((side, side, 1)) - 0.9985).clip(0) / 0.0015
        )
    clouds = _clouds(random, side) * (0.25 if scene.stars else 0.55) * (1 - down / 2)
    picture += clouds[..., None] * (light - picture)
    left, top, radius = (
        random.uniform(0.2, 0.8),
        horizon * random.uniform(0.25, 0.8),
        random.uniform(0.035, 0.06),
    )
    distance = np.sqrt((x - left) ** 2 + (y - top) ** 2)
    disc = ((radius - distance) * side / 2 + 0.5).clip(0, 1)
    glow = 0.75 / (1 + (distance / (2.2 * radius)) ** 2)
    picture += np.maximum(disc, glow)[..., None] * (light - picture)
    return picture


def _raise(picture: Plane, scene: Scene, ridge: Plane, level: float, near: float) -> None:
    """Fill what is below a ridge, given as a row for each column; below its ``level`` it is lost in
    mist."""
    rows, haze = np.arange(len(picture))[:, None], _rgb(scene.horizon)
    hill = haze + (_rgb(scene.ground) - haze) * near
    mist = (0.55 - 0.3 * near) * ((rows - level) / (0.2 * len(ridge))).clip(0, 1)
    inside = (rows - ridge + 0.5).clip(0, 1)[..., None]
    picture += inside * (hill + (haze - hill) * mist[..., None] - picture)


def _reflect(picture: Plane, shore: int, scene: Scene, random: Generator) -> None:
    """Below the shore what is above it, upside down and rippled, the nearer the more in the water's
    own colour."""
    side = len(picture)
    depth = np.arange(side - shore)
    ripples, shifts = (
        depth * (_noise(random, side, coarse)[: len(depth)] - 0.5) / 9 for coarse in (60, 160)
    )
    rows = (shore - 1 - depth * shore / side + ripples).round().astype(int).clip(0, shore - 1)
    columns = (np.arange(side) + shifts.round().astype(int)[:, None]).clip(0, side - 1)
    mirrored = picture[rows[:, None], columns]
    picture[shore:] = mirrored + (0.15 + 0.45 * depth / side)[:, None, None] * (
        _rgb(scene.ground) - mirrored
    )


def _firs(random: Generator, side: int, height: float) -> Plane:
    """How far trees stand out above a ridge, in each column."""
    x, tops = np.arange(side) / side, np.zeros(side)
    for _ in range(round(2.5 / height)):
        tall, slope = height * random.uniform(0.4, 1), random.uniform(3.5, 5.5)
        tops = np.maximum(tops, tall - slope * np.abs(x - random.random()))
    return tops


def _clouds(random: Generator, side: int) -> Plane:
    """0-1: long soft bands."""
    plane = np.zeros((side, side))
    for scale in (1, 2, 4, 8, 16):
        grid = random.random((5 * scale + 1, 2 * scale + 1))
        plane += _stretched(_stretched(grid, side).T, side).T / (2 * scale)
    return _eased(((plane - 0.5) * 4).clip(0, 1))


def _noise(random: Generator, side: int, coarsest: int) -> Plane:
    """A smooth line of ``side`` values around 0.5, with detail at five scales."""
    line = np.zeros(side)
    for scale in (1, 2, 4, 8, 16):
        line += _stretched(random.random(coarsest * scale + 1), side) / scale
    return line * 16 / 31


def _stretched(values: Plane, length: int) -> Plane:
    """``length`` values along the first axis, smooth between those given."""
    place = np.arange(length) * (len(values) - 1) / length
    before = place.astype(int)
    part = _eased(place - before).reshape(-1, *[1] * (values.ndim - 1))
    stretched: Plane = values[before] * (1 - part) + values[before + 1] * part
    return stretched


def _eased(part: Plane) -> Plane:
    return part * part * (3 - 2 * part)


def _rgb(colour: str) -> Plane:
    return np.frombuffer(bytes.fromhex(colour), np.uint8) / 255
