"""What to do with a picture, and what came out: plain frozen values."""

from dataclasses import dataclass, fields

from app.imaging.formats import Format


@dataclass(frozen=True)
class Transform:
    """What is to be done, as data. ``engine.steps`` turns it into a tuple of small steps.

    ``format`` None keeps the source's format where it is one that is written; else JPEG, or PNG where the picture has
    transparency. ``quality`` is 1-100 on JPEG's scale, whatever the format (encode/ maps it); 100 is lossless for PNG,
    and for WebP where the source was lossless too. ``max_width`` and ``max_height``, in pixels of the upright picture,
    make it fit inside both, never enlarged; ratio kept, or without ``preserve_aspect`` each side bounded by itself.
    """

    format: Format | None = None
    quality: int = 80
    max_width: int | None = None
    max_height: int | None = None
    preserve_aspect: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ValueError("quality must be between 1 and 100")
        for side in (self.max_width, self.max_height):
            if side is not None and side < 1:
                raise ValueError("max_width and max_height must be at least 1")

    def canonical(self) -> str:
        """One stable text per meaning, a cache key: ``format=webp;quality=80``. What is unset is left out."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.preserve_aspect or not (self.max_width or self.max_height):
            del values["preserve_aspect"]
        return ";".join(f"{name}={value}" for name, value in sorted(values.items()) if value is not None)


@dataclass(frozen=True)
class Picture:
    """What was written: ``width`` and ``height`` in pixels as displayed, ``size`` in bytes, ``frames`` of the output
    (encoders merge frames that are alike).

    ``kept_original``: the source's own pixels were handed back, losslessly stripped, since encoding made it no smaller.
    ``source_format`` names what was read: jpeg, png, webp, gif, heif, avif, tiff, bmp, raw; of a poster mp4, webm, mov.
    """

    format: Format
    width: int
    height: int
    size: int
    kept_original: bool
    source_format: str
    frames: int
