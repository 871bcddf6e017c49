"""Files with a flaw that costs no pixel: they are mended, then decoded as strictly as all others
(docs/decisions/049)."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeVar

from pyvips import Region

from app.imaging.engine.containers import jpeg_mending
from app.imaging.engine.files import mapped
from app.imaging.engine.unsupported import variant
from app.imaging.engine.vips import Image, VipsError, lacks_memory
from app.imaging.errors import UnreadableImage
from app.imaging.formats import Source

Result = TypeVar("Result")
MENDINGS = 2
"""The structure once, and once what only the decoder finds: bytes after the last scan."""
ROWS = 16


def forgiving(source: Path, kind: Source, attempt: Callable[[Path], Result]) -> Result:
    """The result of ``attempt`` on the file ``source``, or on a mended copy of it where it is a
    JPEG whose flaws cost no pixel. Raises what ``attempt`` raises, and UnreadableImage."""
    try:
        return attempt(source)
    except VipsError as error:
        if kind is not Source.JPEG or lacks_memory(error) or variant(error):
            raise
        flaw = error
    with TemporaryFile() as copy:
        broken = source
        for _ in range(MENDINGS):
            with mapped(broken) as data:
                content = jpeg_mending.mended(data, str(flaw))
            if content is None:
                break
            copy.seek(0)
            copy.truncate()
            copy.write(content)
            copy.flush()
            broken = Path(f"/dev/fd/{copy.fileno()}")
            try:
                return attempt(broken)
            except VipsError as error:
                if lacks_memory(error):
                    raise
                flaw = error
        raise UnreadableImage(_what_is_missing(broken)) from flaw


def _what_is_missing(path: Path) -> str:
    """What to say of a JPEG that is damaged: how much of it can be read."""
    share = _readable_share(path)
    if not share:
        return "The JPEG is damaged or incomplete; export it again and send the new file."
    return (
        f"The JPEG is damaged or incomplete: the lower {100 - share} % of the picture are missing "
        "or wrong. Export it again and send the new file."
    )


def _readable_share(path: Path) -> int:
    """The per cent of its rows, from the top, that libjpeg decodes without a warning. Of a
    progressive JPEG that is all or nothing, because each scan is of the whole picture."""
    try:
        image = Image.jpegload(str(path), access="sequential", fail_on="warning")
    except VipsError:
        return 0
    region, top = Region.new(image), 0
    try:
        for top in range(0, image.height, ROWS):
            region.fetch(0, top, image.width, min(ROWS, image.height - top))
    except VipsError:
        return 100 * top // int(image.height)
    return 99
