"""The examination of a customer's original: what to do and what was found, as plain frozen
values."""

from dataclasses import dataclass

from app.imaging.transform import Picture


@dataclass(frozen=True)
class Examination:
    """Tell what a file is, read all of it, and write a small WebP picture of it, with a watermark
    for a test key."""

    watermarked_for_test: bool = False


@dataclass(frozen=True)
class Original:
    """What a file really is.

    ``mime`` is the media type in its canonical spelling, ``image/x-raw`` for every camera RAW.
    ``kind`` is jpeg, png, webp, gif, heif, avif, tiff, bmp, raw, mp4, webm or mov. ``width`` and
    ``height`` are in pixels as displayed, turned upright and with square pixels; ``frames`` are an
    animation's, 1 for a video. ``duration_ms`` is a video's, None for pictures. ``thumbnail`` is
    the picture that was written.
    """

    mime: str
    kind: str
    is_video: bool
    width: int
    height: int
    frames: int
    duration_ms: int | None
    thumbnail: Picture
