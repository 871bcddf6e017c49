import pytest

from app.imaging import Format
from app.imaging.formats import Source


@pytest.mark.parametrize(
    ("output", "mime", "extension", "animates", "alpha"),
    [
        (Format.JPEG, "image/jpeg", "jpg", False, False),
        (Format.PNG, "image/png", "png", False, True),
        (Format.WEBP, "image/webp", "webp", True, True),
        (Format.AVIF, "image/avif", "avif", False, True),
        (Format.GIF, "image/gif", "gif", True, True),
    ],
)
def test_properties(output: Format, mime: str, extension: str, animates: bool, alpha: bool) -> None:
    assert (output.mime, output.extension, output.animates, output.alpha) == (
        mime,
        extension,
        animates,
        alpha,
    )
    assert Format.from_mime(mime.upper() + " ") is output


@pytest.mark.parametrize("mime", ["image/jpg", "image/tiff", "jpeg", ""])
def test_other_media_types_are_refused(mime: str) -> None:
    with pytest.raises(ValueError, match="is not one of"):
        Format.from_mime(mime)


def test_sources_that_are_also_written() -> None:
    written = {source for source in Source if source.written_as}
    assert written == {Source.JPEG, Source.PNG, Source.WEBP, Source.GIF, Source.AVIF}
    assert Source.GIF.written_as is Format.GIF
