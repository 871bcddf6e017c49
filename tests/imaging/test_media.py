import pytest

from app.imaging import Format, Original, Picture, accepted, is_video, matches
from app.imaging.formats import Source

THUMBNAIL = Picture(Format.WEBP, 1, 1, 1, False, "jpeg", 1)


def found(mime: str, kind: str) -> Original:
    return Original(mime, kind, mime.startswith("video/"), 1, 1, 1, None, THUMBNAIL)


@pytest.mark.parametrize(
    ("declared", "canonical"),
    [
        ("image/jpeg", "image/jpeg"),
        ("IMAGE/JPG", "image/jpeg"),
        (" image/pjpeg ", "image/jpeg"),
        ("image/x-ms-bmp", "image/bmp"),
        ("image/heic-sequence", "image/heic"),
        ("image/HEIF", "image/heif"),
        ("image/dng", "image/x-adobe-dng"),
        ("image/x-canon-cr3", "image/x-canon-cr3"),
        ("video/x-m4v", "video/mp4"),
        ("video/webm", "video/webm"),
        ("video/quicktime", "video/quicktime"),
    ],
)
def test_aliases_have_one_spelling(declared: str, canonical: str) -> None:
    assert accepted(declared) == canonical


@pytest.mark.parametrize(
    "declared",
    [
        "", "image", "image/*", "*/*", "image/jpeg; "
                                       "charset=binary", "image/jpeg,image/png", "image/svg+xml",
        "text/html", "application/pdf", "application/zip", "application/octet-stream", "audio/mp4",
        "video/x-matroska",
    ],
)  # fmt: skip
def test_what_is_not_taken(declared: str) -> None:
    assert accepted(declared) is None
    assert not is_video(declared)
    assert not matches(declared, found("image/jpeg", "jpeg"))


@pytest.mark.parametrize("source", list(Source))
def test_every_source_can_be_declared(source: Source) -> None:
    assert accepted(source.mime) == source.mime
    assert matches(source.mime.upper(), found(source.mime, source.value))
    assert is_video(source.mime) == source.is_video


def test_videos() -> None:
    assert is_video("video/X-M4V")
    assert not is_video("image/gif")
    assert not is_video("video/x-matroska")


@pytest.mark.parametrize(
    "declared", ["image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence"]
)
def test_heic_and_heif_pass_for_each_other(declared: str) -> None:
    assert matches(declared, found("image/heic", "heif"))
    assert matches(declared, found("image/heif", "heif"))
    assert not matches(declared, found("image/avif", "avif"))


@pytest.mark.parametrize(
    "declared", ["image/x-nikon-nef", "image/x-adobe-dng", "image/dng", "image/x-raw"]
)
def test_raw_is_raw_whoever_made_it(declared: str) -> None:
    assert matches(declared, found("image/x-raw", "raw"))
    assert not matches(declared, found("image/tiff", "tiff"))
    assert not matches("image/tiff", found("image/x-raw", "raw"))


@pytest.mark.parametrize(
    ("declared", "mime", "kind"),
    [
        ("image/png", "image/jpeg", "jpeg"),
        ("image/heic", "image/jpeg", "jpeg"),
        ("video/mp4", "video/quicktime", "mov"),
        ("video/webm", "video/mp4", "mp4"),
        ("image/gif", "video/mp4", "mp4"),
    ],
)
def test_another_type_does_not_pass(declared: str, mime: str, kind: str) -> None:
    assert not matches(declared, found(mime, kind))
