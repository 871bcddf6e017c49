"""Small pictures of what operations make, for somebody who waits: the same steps, encoded in a
hurry."""

from pathlib import Path

from app.imaging.chain import check
from app.imaging.engine import pipeline
from app.imaging.engine.decode import decode
from app.imaging.engine.encode import avif, jpeg
from app.imaging.engine.mending import forgiving
from app.imaging.engine.rendering import Rendering, drawn
from app.imaging.engine.vips import Image
from app.imaging.formats import Format, Source
from app.imaging.limits import Limits
from app.imaging.transform import Preview

# Of a picture for which no quality was asked: encoding once more must not show.
QUALITY = 92


def quick_render(source: Path, kind: Source, order: Preview, limits: Limits) -> Rendering:
    """Decode, step, encode, as ``rendering.render`` does, the first frame only."""
    transform, shown_kind = order.transform, order.kind or kind

    def attempt(source: Path) -> Rendering:
        decoded = decode(source, kind, transform.first_size, limits, animated=False)
        limits.check(decoded)
        fitted = transform.fitted(decoded.width, decoded.height)
        check(transform.operations, *fitted, 1, limits)
        steps = pipeline.steps(transform, order.layers, limits)
        image, output = drawn(decoded, shown_kind, transform, steps)
        shown, content = _quickly(image, output, order.quality)
        return Rendering(content, shown, image.width, image.height, decoded, whole=False)

    return forgiving(source, kind, attempt)


def _quickly(image: Image, output: Format, quality: int | None) -> tuple[Format, bytes]:
    """The format of a preview, and its bytes. Losses that somebody asked for show where the encoder
    is quick, which that of GIF's palettes is not; where none were asked for, none show."""
    match output:
        case Format.AVIF if quality:
            return output, bytes(
                image.heifsave_buffer(
                    compression="av1", Q=avif.scaled(quality), effort=0, bitdepth=8, keep="none"
                )
            )
        case Format.WEBP if quality and quality < 100:
            return output, bytes(image.webpsave_buffer(Q=quality, effort=0, keep="none"))
        case _ if image.hasalpha():
            return Format.WEBP, bytes(image.webpsave_buffer(Q=QUALITY, effort=0, keep="none"))
        case _:
            wanted = quality if output is Format.JPEG and quality else None
            return Format.JPEG, bytes(
                image.jpegsave_buffer(
                    Q=jpeg.scaled(wanted or QUALITY),
                    quant_table=jpeg.QUANTISATION,
                    subsample_mode="on" if wanted and wanted < 90 else "off",
                    keep="none",
                )
            )
