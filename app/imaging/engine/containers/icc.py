"""ICC profiles (ICC.1:2022): recognise the most common one, and read the name of any."""

import math
import struct
from collections.abc import Callable
from functools import partial

# sRGB's primaries as every profile of it stores them: adapted to D50, as s15Fixed16 numbers.
SRGB = {
    b"r": (0.4361, 0.2225, 0.0139),
    b"g": (0.3851, 0.7169, 0.0971),
    b"b": (0.1431, 0.0606, 0.7141),
}
TOLERANCE = 0.003
HALF_A_LEVEL = 0.5 / 255
MOST_TAGS = 100
PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}
"""How many numbers each form of a parametric curve has."""
Curve = Callable[[float], float]


def is_srgb(profile: bytes) -> bool:
    """Whether a profile has sRGB's primaries and sRGB's curve, so that converting from it would
    only round. What it is called says nothing."""
    try:
        tags = _tags(profile)
        return b"A2B0" not in tags and all(
            _is_near(profile, tags[primary + b"XYZ"], SRGB[primary])
            and _is_srgb_curve(profile, *tags[primary + b"TRC"])
            for primary in SRGB
        )
    except (KeyError, struct.error, ArithmeticError):
        return False


def name_of(profile: bytes) -> str:
    """The description of a profile (ICC.1:2022 §9.2.41, or ICC.1:2001 §6.5.17), not cleaned; empty
    where it can't be read."""
    try:
        return _text(profile, _tags(profile)[b"desc"][0])
    except (KeyError, struct.error):
        return ""


def _tags(profile: bytes) -> dict[bytes, tuple[int, int]]:
    """Offset and size of each tag (§7.3). Raises struct.error."""
    count = min(struct.unpack_from(">I", profile, 128)[0], MOST_TAGS)
    entries = struct.iter_unpack(">4sII", profile[132 : 132 + 12 * count])
    return {name: (at, size) for name, at, size in entries}


def _text(profile: bytes, at: int) -> str:
    """The ASCII text of version 2, the first language of version 4."""
    if profile[at : at + 4] == b"desc":
        size = struct.unpack_from(">I", profile, at + 8)[0]
        return profile[at + 12 : at + 12 + min(size, 400)].partition(b"\0")[0].decode("latin-1")
    if profile[at : at + 4] == b"mluc":
        size, offset = struct.unpack_from(">II", profile, at + 20)
        text = profile[at + offset : at + offset + min(size, 400)]
        return text.decode("utf-16-be", errors="ignore")
    return ""


def _is_near(profile: bytes, tag: tuple[int, int], primary: tuple[float, ...]) -> bool:
    stored = struct.unpack_from(">3i", profile, tag[0] + 8)
    return all(
        abs(value / 65536 - wanted) < TOLERANCE
        for value, wanted in zip(stored, primary, strict=True)
    )


def _is_srgb_curve(profile: bytes, at: int, size: int) -> bool:
    """Whether a curve is nowhere further from sRGB's than half an 8-bit level."""
    curve = _curve(profile, at, size)
    levels = [level / 255 for level in range(0, 256, 5)]
    return curve is not None and all(
        abs(_encoded(curve(level)) - level) < HALF_A_LEVEL for level in levels
    )


def _curve(profile: bytes, at: int, size: int) -> Curve | None:
    """A tone curve, from a share of the code value to a share of the light (§10.6, §10.18); None
    for a kind that is not known. Raises struct.error."""
    kind = profile[at : at + 4]
    if kind == b"curv":
        count = struct.unpack_from(">I", profile, at + 8)[0]
        if count == 0:
            return lambda value: value
        if count == 1:
            gamma = struct.unpack_from(">H", profile, at + 12)[0] / 256
            return lambda value: math.pow(value, gamma)
        points = struct.unpack_from(f">{min(count, size // 2)}H", profile, at + 12)
        return partial(_between, points)
    if kind == b"para":
        form = struct.unpack_from(">H", profile, at + 8)[0]
        if form in PARAMETERS:
            numbers = struct.unpack_from(f">{PARAMETERS[form]}i", profile, at + 12)
            return partial(_parametric, form, [number / 65536 for number in numbers])
    return None


def _between(points: tuple[int, ...], value: float) -> float:
    place = value * (len(points) - 1)
    below = min(int(place), len(points) - 2)
    part = place - below
    return (points[below] * (1 - part) + points[below + 1] * part) / 65535


def _parametric(form: int, numbers: list[float], value: float) -> float:
    """Table 68 of the specification: a power, below a limit a line."""
    g, a, b, c, d, e, f = (numbers + [0.0] * 7)[:7]
    power = math.pow(value if form == 0 else max(a * value + b, 0.0), g)
    if form <= 2:
        return power + (c if form == 2 else 0.0)
    return power + e if value >= d else c * value + f


def _encoded(light: float) -> float:
    """The sRGB code value of a light (IEC 61966-2-1)."""
    light = min(max(light, 0.0), 1.0)
    return light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
