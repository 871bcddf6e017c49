"""Operations in words, as pages tell what was done to an image."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.imaging.formats import Source
from app.models import Origin

FORMATS = {"webp": "WebP", "webm": "WebM", "heif": "HEIC", "raw": "camera RAW"}
"""Formats that are not written in capitals only."""
ORIGINS = {
    Origin.UPLOAD: "Uploaded",
    Origin.URL: "Fetched from a URL",
    Origin.PROMPT: "Painted from a prompt",
    Origin.IMAGE: "Made of another image",
}
MIRRORED = {
    "horizontal": "Mirrored left to right",
    "vertical": "Mirrored top to bottom",
    "both": "Mirrored both ways",
}
CHANGED = {"brightness": 1.0, "saturation": 1.0, "hue": 0, "lightness": 0.0}
"""The fields of ``modulate``, with what changes nothing."""
Fields = Mapping[str, Any]


def words_of(operations: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """A sentence part for each operation as the API writes it: ``{"resize": {"width": 800}}`` is
    "Resized to 800 pixels wide"."""
    return [
        WORDS[name](fields or {}) if name in WORDS else name.replace("_", " ").capitalize()
        for operation in operations or ()
        for name, fields in operation.items()
    ]


def images(number: int) -> str:
    """``1 image``, ``1,204 images``."""
    return f"{number:,} image{'s' * (number != 1)}"


def format_name(kind: str) -> str:
    """``JPEG`` for ``jpeg``, ``WebP`` for ``webp``."""
    return FORMATS.get(kind, kind.upper())


def origin_of(origin: str) -> str:
    return ORIGINS[Origin(origin)]


def is_video(kind: str) -> bool:
    return Source(kind).is_video


def _resized(fields: Fields) -> str:
    width, height = fields.get("width"), fields.get("height")
    if not (width and height):
        return f"Resized to {width} pixels wide" if width else f"Resized to {height} pixels high"
    how = {"contain": ", with bars", "cover": ", cut to fill"}.get(fields.get("fit", ""), "")
    return f"Resized to {width} × {height}{how}"


def _cropped(fields: Fields) -> str:
    sides = [fields.get(f"{axis}2", 0) - fields.get(f"{axis}1", 0) for axis in "xy"]
    return f"Cropped to {sides[0]} × {sides[1]}"


def _rotated(fields: Fields) -> str:
    angle = fields.get("angle", 0)
    degrees = math.degrees(angle) if fields.get("unit") == "radians" else angle
    return f"Rotated by {degrees:.4g}°"


def _changed(fields: Fields) -> str:
    parts = []
    for name, neutral in CHANGED.items():
        value = fields.get(name, neutral)
        if value == neutral:
            continue
        if neutral == 1:
            parts.append(f"{name} {value:.0%}".replace("%", " %"))
        else:
            parts.append(f"{name} {value:+g}{'°' if name == 'hue' else ''}")
    return f"Colours changed: {', '.join(parts)}" if parts else "Colours as they were"


def _watermarked(fields: Fields) -> str:
    number = len(fields.get("watermarks", ()))
    return "Watermark laid over it" if number == 1 else f"{number} watermarks laid over it"


def _converted(fields: Fields) -> str:
    quality = f", quality {fields['quality']}" if fields.get("quality") else ""
    return f"Converted to {format_name(fields.get('format', ''))}{quality}"


WORDS: dict[str, Callable[[Fields], str]] = {
    "resize": _resized,
    "crop": _cropped,
    "rotate": _rotated,
    "mirror": lambda fields: MIRRORED.get(fields.get("mode", ""), "Mirrored"),
    "blur": lambda fields: f"Blurred by {fields.get('sigma', 20):g}",
    "modulate": _changed,
    "watermark": _watermarked,
    "convert": _converted,
    "remove_background": lambda _fields: "Background removed",
}
