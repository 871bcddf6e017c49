import pytest
from PIL.PngImagePlugin import PngInfo

from app.imaging.engine.containers import png
from app.imaging.engine.containers.header import Damaged
from tests.imaging.samples import animated, animation, corners, encoded, opened, oriented


def test_header() -> None:
    header = png.read_header(encoded(corners(70, 30), "PNG"))
    assert (header.width, header.height, header.frames, header.lossless) == (70, 30, 1, True)


def test_strip_keeps_pixels_and_orientation() -> None:
    info = PngInfo()
    info.add_text("Author", "SECRET")
    info.add_itxt("XML:com.adobe.xmp", "SECRET")
    picture = encoded(
        corners().convert("P"),
        "PNG",
        pnginfo=info,
        exif=oriented(8),
        dpi=(300, 300),
        transparency=0,
    )
    stripped = png.strip(picture, orientation=8)
    assert b"SECRET" in picture
    assert b"SECRET" not in stripped
    assert opened(stripped).convert("RGBA").tobytes() == opened(picture).convert("RGBA").tobytes()
    assert dict(opened(stripped).getexif()) == {274: 8}


def test_strip_leaves_of_an_animation_its_default_image() -> None:
    frames = animation()
    still = opened(png.strip(animated("PNG", frames), orientation=1))
    assert getattr(still, "n_frames", 1) == 1
    assert still.convert("RGB").getpixel((3, 3)) == frames[0].getpixel((3, 3))


@pytest.mark.parametrize("cut", [9, 30, 60, -4, -14])
def test_a_cut_file_is_damaged(cut: int) -> None:
    with pytest.raises(Damaged):
        png.read_header(encoded(corners(), "PNG")[:cut])


def test_a_chunk_longer_than_the_file_is_damaged() -> None:
    whole = encoded(corners(), "PNG")
    with pytest.raises(Damaged):
        png.read_header(whole[:33] + b"\x7f\xff\xff\xfftEXt" + whole[33:])
