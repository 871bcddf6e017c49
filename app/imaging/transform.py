"""What to do with a picture, and what came out: plain frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from app.imaging.formats import Format, Source
from app.imaging.geometry import fit
from app.imaging.operations import Operation, Resize


@dataclass(frozen=True)
class Transform:
    """What is to be done, as data. ``rendering`` turns it into a tuple of small steps.

    ``format`` None keeps the source's format where it is one that is written; else JPEG, or PNG
    where the picture has transparency. ``quality`` is 1-100 on JPEG's scale, whatever the format
    (encode/ maps it); 100 is lossless for PNG, and for WebP where the source was lossless too. None
    keeps the source's: what was lossless stays so, a JPEG's tables tell how good it was.
    ``max_width`` and ``max_height``, in pixels of the upright picture, make it fit inside both,
    never enlarged; ratio kept, or without ``preserve_aspect`` each side bounded by itself.
    The ``operations`` follow, in order. ``watermarked_for_test`` puts a test key's watermark on it.
    """

    format: Format | None = None
    quality: int | None = 80
    max_width: int | None = None
    max_height: int | None = None
    preserve_aspect: bool = True
    operations: tuple[Operation, ...] = ()
    watermarked_for_test: bool = False

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ValueError("quality must be between 1 and 100")
        for side in (self.max_width, self.max_height):
            if side is not None and side < 1:
                raise ValueError("max_width and max_height must be at least 1")

    def fitted(self, width: int, height: int) -> tuple[int, int]:
        """The size in pixels that the operations begin with."""
        return fit(width, height, self.max_width, self.max_height, self.preserve_aspect)

    def first_size(self, width: int, height: int) -> tuple[int, int]:
        """What an upright picture is made before all else: fitted, and as much smaller as the first
        operation makes it.

        Decoding and colours then take place on few pixels.
        """
        width, height = self.fitted(width, height)
        match self.operations:
            case (Resize() as resize, *_):
                content = resize.content(width, height)
                return min(width, content[0]), min(height, content[1])
            case _:
                return width, height

    def canonical(self) -> str:
        """One stable text per meaning, a cache key: ``format=webp;quality=80``. What is unset is
        left out.

        ValueError with operations: what comes of them is an image of its own, not a copy that is
        found again.
        """
        if self.operations:
            raise ValueError("operations have no canonical form")
        values = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name != "operations"
        }
        if self.preserve_aspect or not (self.max_width or self.max_height):
            del values["preserve_aspect"]
        if not self.watermarked_for_test:
            del values["watermarked_for_test"]
        return ";".join(
            f"{name}={value}" for name, value in sorted(values.items()) if value is not None
        )


@dataclass(frozen=True)
class Picture:
    """What was written: ``width`` and ``height`` in pixels as displayed, ``size`` in bytes,
    ``frames`` of the output (encoders merge frames that are alike).

    ``kept_original``: the source's own pixels were handed back, losslessly stripped, since encoding
    made it no smaller. ``source_format`` names what was read: jpeg, png, webp, gif, heif, avif,
    tiff, bmp, raw; of a poster mp4, webm, mov.
    """

    format: Format
    width: int
    height: int
    size: int
    kept_original: bool
    source_format: str
    frames: int


@dataclass(frozen=True)
class Derivation:
    """Make a new image of another: the transformed picture, and a thumbnail of what came of it at
    ``thumbnail``.

    ``layers`` are the files of a watermark's pictures, by the names that its layers give.
    """

    transform: Transform
    thumbnail: Path
    layers: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Preview:
    """Show in at most ``side`` pixels a side what ``operations`` make of a picture. Encoded in a
    hurry, and only the first frame of an animation.

    ``format`` and ``quality`` are those of a Transform; ``kind`` is the format that the picture had
    before, where the file at hand is a preview itself. ``layers`` are as in a Derivation.
    """

    side: int
    operations: tuple[Operation, ...] = ()
    format: Format | None = None
    quality: int | None = None
    kind: Source | None = None
    layers: Mapping[str, Path] = field(default_factory=dict)
    watermarked_for_test: bool = False

    @property
    def transform(self) -> Transform:
        """The same as a Transform."""
        return Transform(
            self.format,
            self.quality,
            max_width=self.side,
            max_height=self.side,
            operations=self.operations,
            watermarked_for_test=self.watermarked_for_test,
        )


@dataclass(frozen=True)
class Derived:
    """What was written: the picture, and its thumbnail."""

    picture: Picture
    thumbnail: Picture


@dataclass(frozen=True)
class Painting:
    """Draw a picture of ``side`` x ``side`` pixels. The same words and seed make the same bytes."""

    prompt: str
    negative_prompt: str
    seed: int
    side: int = 1024
