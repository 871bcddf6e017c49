"""The quality of an encoding for which nobody asked for one: that of the source."""

from app.imaging.engine.containers.header import Header
from app.imaging.engine.encode.jpeg import usual
from app.imaging.formats import Format, Source

USUAL = 80
# A source that is encoded again loses a little more than its own tables took.
STORED_LOSSY = 85
# From a camera's or an archive's format to the one that everybody opens.
DEVELOPED = 90
DEVELOPS = {Source.HEIF, Source.RAW, Source.TIFF}
LOSSLESS = 100
# Between these a JPEG is encoded again at its own quality. Below, each encoding would cost it much,
# and above there is mostly noise.
LEAST_AGAIN, MOST_AGAIN = 85, 95


def kept(kind: Source, header: Header | None, output: Format) -> int:
    """The quality, 1-100, that keeps what a source of this kind shows in the ``output`` format.

    For a JPEG that stays one, its own tables tell the quality, within bounds.
    """
    if output is Format.PNG or (output is Format.GIF and kind is Source.GIF):
        return LOSSLESS
    if kind is Source.JPEG and output is Format.JPEG and header and header.quality:
        return min(max(usual(header.quality), LEAST_AGAIN), MOST_AGAIN)
    if kind.written_as is output:
        return LOSSLESS if header and header.lossless else STORED_LOSSY
    return DEVELOPED if output is Format.JPEG and kind in DEVELOPS else USUAL
