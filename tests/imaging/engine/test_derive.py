"""New images of others, from file to file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from PIL.JpegImagePlugin import get_sampling

from app.imaging import (
    Derivation,
    Derived,
    Format,
    ImageTooLarge,
    Limits,
    Transform,
    UnreadableImage,
    UnsupportedImage,
)
from app.imaging.engine.perform import perform
from app.imaging.errors import OutsideImage
from app.imaging.operations import (
    Axis,
    Blur,
    Crop,
    Fit,
    Layer,
    Mirror,
    Modulate,
    Operation,
    Repetition,
    Resize,
    Rotate,
    Watermark,
)
from tests.imaging.samples import (
    BLUE,
    GREEN,
    RED,
    WHITE,
    animated,
    animation,
    colours_at_quarters,
    converted,
    corners,
    encoded,
    frames_of,
    is_near,
    noise,
    opened,
    oriented,
    pixel,
    stored_as,
)

CLEAR = (0, 0, 0, 0)
MAGENTA = (250, 0, 250)


def derived(
    folder: Path,
    content: bytes,
    *operations: Operation,
    layers: dict[str, bytes] | None = None,
    limits: Limits | None = None,
    **options: object,
) -> tuple[Derived, Image.Image, Image.Image]:
    """What comes of a file's bytes: what is told, the picture, and its thumbnail."""
    source, target, thumbnail = folder / "source", folder / "target", folder / "thumbnail"
    source.write_bytes(content)
    files = {name: folder / f"layer-{name}" for name in layers or {}}
    for name, layer in (layers or {}).items():
        files[name].write_bytes(layer)
    transform = Transform(quality=None, operations=operations, **options)  # type: ignore[arg-type]
    told = perform(source, target, Derivation(transform, thumbnail, files), limits or Limits())
    assert isinstance(told, Derived)
    assert (told.picture.size, told.thumbnail.size) == (
        target.stat().st_size,
        thumbnail.stat().st_size,
    )
    shown = opened(target.read_bytes())
    assert shown.size == (told.picture.width, told.picture.height)
    return told, shown, opened(thumbnail.read_bytes())


def loss(first: Image.Image, second: Image.Image) -> float:
    """Root mean square difference of two pictures, in levels of 255."""
    return float(
        np.sqrt(
            np.mean(
                (np.asarray(first.convert("RGB"), float) - np.asarray(second.convert("RGB"))) ** 2
            )
        )
    )


def photo() -> Image.Image:
    """Detail in light and hardly any in colour, as JPEG's subsampling takes for granted."""
    light, *colours = noise().convert("YCbCr").split()
    soft = [colour.filter(ImageFilter.GaussianBlur(6)) for colour in colours]
    return Image.merge("YCbCr", (light, *soft)).convert("RGB")


def test_a_picture_and_its_thumbnail(tmp_path: Path) -> None:
    told, shown, thumbnail = derived(
        tmp_path, encoded(corners(), "PNG"), Resize(960, 960, Fit.CONTAIN), Rotate(90)
    )
    assert (told.picture.format, shown.size) == (Format.PNG, (960, 960))
    assert (thumbnail.format, thumbnail.size, told.thumbnail.frames) == ("WEBP", (480, 480), 1)
    assert pixel(shown.convert("RGB"), 5, 400) == (0, 0, 0)
    middle = shown.crop((192, 0, 768, 960))
    turned = [BLUE, RED, pixel(corners(), 79, 47), GREEN]
    for found, wanted in zip(colours_at_quarters(middle), turned, strict=True):
        assert is_near(found, wanted)
    assert loss(thumbnail, shown.resize((480, 480))) < 12


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize(
    ("operation", "box"),
    [
        (Resize(100, 100, Fit.FILL), (0, 0, 1600, 960)),
        (Resize(80, 96, Fit.COVER), (400, 0, 1200, 960)),
        (Resize(100, 60, Fit.CONTAIN), (0, 0, 1600, 960)),
    ],
)
def test_a_large_picture_is_shrunk_on_load_and_turned(
    tmp_path: Path, kind: str, orientation: int, operation: Resize, box: tuple[int, int, int, int]
) -> None:
    upright = corners(1600, 960)
    content = encoded(stored_as(orientation, upright), kind, exif=oriented(orientation), quality=95)
    _, shown, _ = derived(tmp_path, content, operation, format=Format.PNG)
    expected = upright.resize(
        (operation.width or 0, operation.height or 0), Image.Resampling.LANCZOS, box
    )
    assert loss(shown, expected) < 2


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_stays_one_through_all_operations(tmp_path: Path, kind: str) -> None:
    lossless = {"lossless": True} if kind == "WEBP" else {}
    content = animated(kind, animation(), duration=[50, 70, 90], loop=3, **lossless)
    told, moving, thumbnail = derived(
        tmp_path,
        content,
        Resize(128, 80),
        Crop(0, 0, 64, 80),
        Rotate(45, (0, 0, 0, 255)),
        Mirror(Axis.VERTICAL),
        Resize(60, 40, Fit.CONTAIN, letterbox=(255, 255, 255, 255)),
    )
    assert (told.picture.frames, frames_of(moving), moving.size, moving.info["loop"]) == (
        3,
        3,
        (60, 40),
        3,
    )
    assert (frames_of(thumbnail), thumbnail.size) == (1, (60, 40))
    for number, (colour, delay) in enumerate(zip((RED, GREEN, BLUE), (50, 70, 90), strict=True)):
        moving.seek(number)
        moving.load()
        frame = moving.convert("RGB")
        assert is_near(pixel(frame, 30, 20), colour)
        assert is_near(pixel(frame, 12, 2), (0, 0, 0))
        assert is_near(pixel(frame, 2, 20), (255, 255, 255))
        assert moving.info["duration"] == delay


def test_a_frame_that_becomes_twice_as_high_is_still_one(tmp_path: Path) -> None:
    told, shown, _ = derived(tmp_path, animated("GIF", animation()[:1]), Resize(64, 80))
    assert (told.picture.frames, shown.size) == (1, (64, 80))


@pytest.mark.parametrize(
    "operation", [Resize(90, 90, Fit.CONTAIN, letterbox=CLEAR), Rotate(45, CLEAR)]
)
def test_transparency_that_was_asked_for_needs_a_format_that_holds_it(
    tmp_path: Path, operation: Operation
) -> None:
    content = encoded(corners(), "JPEG", quality=95)
    told, shown, _ = derived(tmp_path, content, operation)
    assert told.picture.format is Format.PNG
    assert pixel(shown.convert("RGBA"), 0, 0)[3] == 0
    told, shown, _ = derived(tmp_path, content, operation, format=Format.JPEG)
    assert told.picture.format is Format.JPEG
    assert is_near(pixel(shown, 0, 0), (255, 255, 255))
    assert derived(tmp_path, content, Rotate(90, CLEAR))[0].picture.format is Format.JPEG


def test_a_png_stays_exact(tmp_path: Path) -> None:
    source = noise().convert("RGBA")
    source.putalpha(noise(seed=3).convert("L"))
    told, shown, _ = derived(
        tmp_path, encoded(source, "PNG"), Mirror(Axis.HORIZONTAL), Crop(0, 0, 200, 100)
    )
    assert told.picture.format is Format.PNG
    expected = source.transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop((0, 0, 200, 100))
    assert shown.convert("RGBA").tobytes() == expected.tobytes()


def test_a_lossless_webp_stays_exact_and_a_lossy_one_small(tmp_path: Path) -> None:
    _, exact, _ = derived(tmp_path, encoded(noise(), "WEBP", lossless=True), Mirror(Axis.VERTICAL))
    assert (
        exact.convert("RGB").tobytes()
        == noise().transpose(Image.Transpose.FLIP_TOP_BOTTOM).tobytes()
    )
    lossy = encoded(noise(), "WEBP", quality=80)
    told, shown, _ = derived(tmp_path, lossy, Mirror(Axis.VERTICAL))
    assert told.picture.size < 1.5 * len(lossy)
    assert loss(shown, opened(lossy).transpose(Image.Transpose.FLIP_TOP_BOTTOM)) < 4


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_turning_a_jpeg_costs_it_nearly_nothing(
    tmp_path: Path, orientation: int, subsampling: str
) -> None:
    turns: list[Operation] = [
        Rotate(90),
        Mirror(Axis.HORIZONTAL),
        Rotate(180),
        Mirror(Axis.VERTICAL),
        Rotate(-90),
        Mirror(Axis.BOTH),
    ]
    stored = encoded(
        stored_as(orientation, photo()),
        "JPEG",
        quality=80,
        subsampling=subsampling,
        exif=oriented(orientation),
    )
    upright = opened(encoded(opened(stored).convert("RGB"), "PNG"))
    upright = upright.transpose(Image.Transpose.ROTATE_270) if orientation == 6 else upright
    content = stored
    for turn in turns:
        told, shown, _ = derived(tmp_path, content, turn)
        content = (tmp_path / "target").read_bytes()
        assert told.picture.format is Format.JPEG
        assert b"SECRET" not in content
    assert loss(shown, upright.transpose(Image.Transpose.ROTATE_180)) < 1.2
    assert len(content) < 1.2 * len(stored)


def test_five_generations_of_a_jpeg(tmp_path: Path) -> None:
    """Each moves the picture against the grid of blocks, which is the worst that can be done to
    it."""
    content = stored = encoded(photo(), "JPEG", quality=75)
    for _ in range(5):
        _, shown, _ = derived(tmp_path, content, Crop(3, 5, *opened(content).size))
        content = (tmp_path / "target").read_bytes()
    assert loss(shown, opened(stored).crop((15, 25, 256, 192))) < 4
    assert len(content) < 1.2 * len(stored)


@pytest.mark.parametrize("subsampling", [0, 2])
def test_colours_keep_the_samples_that_they_had(tmp_path: Path, subsampling: int) -> None:
    for quality in (80, 97):
        content = encoded(noise(), "JPEG", quality=quality, subsampling=subsampling)
        _, shown, _ = derived(tmp_path, content, Blur(1))
        assert get_sampling(shown) == subsampling


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_what_becomes_a_jpeg_is_a_good_one(tmp_path: Path, kind: str) -> None:
    told, shown, _ = derived(tmp_path, encoded(photo(), kind, quality=95), Crop(1, 1, 200, 150))
    assert told.picture.format is Format.JPEG
    assert loss(shown, photo().crop((1, 1, 200, 150))) < 2


def test_layers_are_upright_and_of_the_size_asked(tmp_path: Path) -> None:
    mark = encoded(stored_as(6, corners(800, 480)), "JPEG", exif=oriented(6), quality=95)
    dot = encoded(Image.new("RGBA", (8, 8), (*MAGENTA, 128)), "TIFF")
    marked = Watermark(
        (Layer("mark", 10, 20, width=40), Layer("dot", 100, 0, 16, 32, Repetition.REPEAT_Y))
    )
    gray = encoded(Image.new("L", (200, 100), 100), "PNG")
    _, shown, thumbnail = derived(tmp_path, gray, marked, layers={"mark": mark, "dot": dot})
    shown = shown.convert("RGB")
    found = colours_at_quarters(shown.crop((10, 20, 50, 44)))
    assert all(
        is_near(first, second)
        for first, second in zip(found, colours_at_quarters(corners()), strict=True)
    )
    assert pixel(shown, 51, 30) == pixel(shown, 30, 45) == (100, 100, 100)
    assert is_near(pixel(shown, 108, 5), (175, 50, 175), 2)
    assert pixel(shown, 108, 5) == pixel(shown, 108, 99) == pixel(shown, 115, 50)
    assert pixel(shown, 116, 50) == pixel(shown, 99, 50) == (100, 100, 100)
    assert is_near(pixel(thumbnail.convert("RGB"), 108, 50), (175, 50, 175))


def test_of_an_animated_layer_the_first_frame_is_on_each_frame(tmp_path: Path) -> None:
    layer = animated(
        "GIF", [Image.new("RGB", (8, 8), colour) for colour in (MAGENTA, WHITE)], duration=50
    )
    _, moving, _ = derived(
        tmp_path,
        animated("GIF", animation(), duration=50),
        Watermark((Layer("mark"),)),
        layers={"mark": layer},
    )
    assert frames_of(moving) == 3
    for number in range(3):
        moving.seek(number)
        assert is_near(pixel(moving.convert("RGB"), 4, 4), MAGENTA)


@pytest.mark.parametrize(
    ("layer", "placed", "refusal"),
    [
        (b"no picture", Layer("mark"), UnsupportedImage),
        (encoded(noise(), "JPEG")[:2000], Layer("mark"), UnreadableImage),
        (encoded(corners(300, 200), "PNG"), Layer("mark"), ImageTooLarge),
        (encoded(corners(30, 20), "PNG"), Layer("mark", width=300), ImageTooLarge),
    ],
)
def test_layers_go_through_the_gate_that_all_files_go_through(
    tmp_path: Path, layer: bytes, placed: Layer, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        derived(
            tmp_path,
            encoded(corners(), "PNG"),
            Watermark((placed,)),
            layers={"mark": layer},
            limits=Limits(max_pixels=50_000),
        )
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    "operations",
    [
        (Resize(10_000, 10_001),),
        (Resize(width=10_000),),
        (Resize(20_001, 1),),
        (Resize(9000, 9000), Rotate(45), Resize(10, 10)),
        (Resize(10_000, 10, Fit.COVER),),
    ],
)
def test_no_result_is_larger_than_a_source_may_be(
    tmp_path: Path, operations: tuple[Operation, ...]
) -> None:
    with pytest.raises(ImageTooLarge):
        derived(tmp_path, encoded(Image.new("L", (1, 1000)), "PNG"), *operations)


def test_the_frames_of_a_result_count_together(tmp_path: Path) -> None:
    content, limits = (
        animated("GIF", animation(), duration=50),
        Limits(max_pixels=100 * 100 * 3 - 1),
    )
    with pytest.raises(ImageTooLarge, match="3 frames"):
        derived(tmp_path, content, Resize(100, 100), limits=limits)
    assert derived(tmp_path, content, Resize(100, 99), limits=limits)[0].picture.frames == 3


def test_a_crop_outside(tmp_path: Path) -> None:
    with pytest.raises(OutsideImage, match="48 x 80") as refusal:
        derived(tmp_path, encoded(corners(), "PNG"), Rotate(90), Crop(0, 0, 80, 48))
    assert (refusal.value.status, refusal.value.code) == (400, "bad_request")


def test_every_kind_of_operation_in_one_go(tmp_path: Path) -> None:
    told, shown, _ = derived(
        tmp_path,
        encoded(noise(), "JPEG", quality=90),
        Blur(3),
        Modulate(saturation=0),
        Watermark((Layer("mark", -4, -4, repetition=Repetition.REPEAT),)),
        Rotate(10, CLEAR),
        layers={"mark": encoded(Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "PNG")},
        format=Format.WEBP,
    )
    assert told.picture.format is Format.WEBP
    middle = np.asarray(shown.convert("RGB").crop((80, 60, 200, 150)), int)
    assert np.abs(middle - middle.mean(axis=2, keepdims=True)).max() < 8, "all colour is gone"
    before = np.asarray(noise().convert("L"), int)
    assert (
        np.abs(np.diff(middle[..., 0], axis=1)).mean()
        < 0.5 * np.abs(np.diff(before, axis=1)).mean()
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_what_is_watermarked_is_never_handed_back_bare(tmp_path: Path, kind: str) -> None:
    """Even where encoding saves so little that a plain conversion returns the original."""
    _, content = converted(tmp_path, encoded(corners(640, 480), kind))
    bare, _ = converted(tmp_path, content)
    watermarked, result = converted(tmp_path, content, Transform(watermarked_for_test=True))
    assert (bare.kept_original, watermarked.kept_original) == (True, False)
    changed = (
        np.abs(np.asarray(opened(result).convert("RGB"), int) - np.asarray(corners(640, 480))).max(
            axis=2
        )
        > 30
    )
    assert changed.mean() > 0.05
    turned, _ = converted(tmp_path, content, Transform(operations=(Rotate(360),)))
    assert not turned.kept_original


def test_thumbnails_show_the_watermark(tmp_path: Path) -> None:
    _, shown, thumbnail = derived(
        tmp_path, encoded(corners(960, 720), "PNG"), watermarked_for_test=True
    )
    changed = (
        np.abs(np.asarray(thumbnail.convert("RGB"), int) - np.asarray(corners(480, 360))).max(
            axis=2
        )
        > 30
    )
    assert changed.mean() > 0.05
    assert loss(thumbnail, shown.resize(thumbnail.size)) < 20


@pytest.mark.parametrize(
    "operation",
    [
        Mirror(Axis.VERTICAL),
        Mirror(Axis.BOTH),
        Rotate(90),
        Rotate(180),
        Rotate(45),
        Resize(40, 4000),
        Blur(9),
        Watermark((Layer("mark", 20, 150, 66), Layer("mark", 2, 700))),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_that_streams_from_its_decoder_is_read_in_any_order(
    tmp_path: Path, kind: str, operation: Operation
) -> None:
    layers = {"mark": encoded(Image.new("RGBA", (9, 9), (0, 0, 0, 90)), "PNG")}
    told, _, _ = derived(tmp_path, encoded(corners(200, 1500), kind), operation, layers=layers)
    assert (told.picture.width, told.picture.height) == operation.size(200, 1500)
