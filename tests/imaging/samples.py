"""Pictures made on the spot, whose content is known."""

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms
from PIL.Image import Exif

from app.imaging import Limits, Original, Picture, Transform
from app.imaging.engine.perform import convert, examine

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
RED, GREEN, BLUE, WHITE, GRAY = (
    (220, 20, 30),
    (20, 180, 40),
    (30, 60, 210),
    (250, 250, 250),
    (119, 119, 119),
)
# The corners of ``corners`` in reading order.
QUARTERS = (RED, GREEN, BLUE, WHITE)


def corners(width: int = 80, height: int = 48) -> Image.Image:
    """Four quarters of one colour each, so that every turn and mirror image is told from every
    other."""
    picture = Image.new("RGB", (width, height))
    for index, colour in enumerate(QUARTERS):
        column, row = index % 2, index // 2
        left, top = column * width // 2, row * height // 2
        picture.paste(colour, (left, top, left + width // 2, top + height // 2))
    return picture


def noise(width: int = 256, height: int = 192, seed: int = 1) -> Image.Image:
    """A soft picture with detail at several scales, as a photo has."""
    random = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(
                random.integers(0, 256, (height // step, width // step, 3), dtype=np.uint8)
            ).resize((width, height), Image.Resampling.BICUBIC),
            dtype=float,
        )
        for step in (4, 8, 16, 32)
    ]
    return Image.fromarray(np.mean(layers, axis=0).astype(np.uint8))


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def oriented(orientation: int) -> Exif:
    """Exif with an orientation, a camera and a place, as a phone writes it."""
    exif = Exif()
    exif[274] = orientation
    exif[271] = "SECRETCAM"
    exif.get_ifd(0x8825)[1] = "N"
    return exif


def stored_as(orientation: int, upright: Image.Image) -> Image.Image:
    """The picture as a camera that is held like that would store it: the tag's turn undone (Exif
    2.32 §4.6.4)."""
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    for turn in undo.get(orientation, []):
        upright = upright.transpose(turn)
    return upright


def animation() -> list[Image.Image]:
    """Frames of one colour each: a pixel of another colour has bled in from a neighbour."""
    return [Image.new("RGB", (64, 40), colour) for colour in (RED, GREEN, BLUE)]


def animated(kind: str, frames: list[Image.Image], **options: object) -> bytes:
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)


SRGB_PRIMARIES = {
    "rXYZ": (0.4361, 0.2225, 0.0139),
    "gXYZ": (0.3851, 0.7169, 0.0971),
    "bXYZ": (0.1431, 0.0606, 0.7141),
}


def s15(*numbers: float) -> bytes:
    """Numbers as ICC profiles store them (ICC.1:2022 §4.6)."""
    return b"".join(round(number * 65536).to_bytes(4, "big", signed=True) for number in numbers)


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0\0\0\0\x01" + round(gamma * 256).to_bytes(2, "big") + b"\0\0"


def table_curve(points: list[float]) -> bytes:
    head = b"curv\0\0\0\0" + len(points).to_bytes(4, "big")
    return head + b"".join(round(point * 65535).to_bytes(2, "big") for point in points)


def parametric_curve(form: int, *numbers: float) -> bytes:
    return b"para\0\0\0\0" + form.to_bytes(2, "big") + b"\0\0" + s15(*numbers)


def rgb_profile(primaries: dict[str, tuple[float, float, float]], curve: bytes) -> bytes:
    """A matrix profile (ICC.1:2022 §8.3.2) from colorants adapted to D50, and one curve."""
    text = b"desc\0\0\0\0\0\0\0\x05test\0" + b"\0" * 79
    tags = {
        "desc": text,
        "wtpt": b"XYZ \0\0\0\0" + s15(0.9642, 1.0, 0.8249),
        "cprt": b"text\0\0\0\0none",
    }
    tags |= {name: b"XYZ \0\0\0\0" + s15(*xyz) for name, xyz in primaries.items()}
    tags |= dict.fromkeys(("rTRC", "gTRC", "bTRC"), curve)
    table, body, offset = b"", b"", 132 + 12 * len(tags)
    for name, payload in tags.items():
        payload += b"\0" * (-len(payload) % 4)
        table += (
            name.encode()
            + (offset + len(body)).to_bytes(4, "big")
            + len(payload).to_bytes(4, "big")
        )
        body += payload
    head = bytearray(128)
    head[8:12], head[12:24] = b"\x02\x40\0\0", b"mntrRGB XYZ "
    head[36:40], head[68:80] = b"acsp", s15(0.9642, 1.0, 0.8249)
    head[0:4] = (132 + len(table) + len(body)).to_bytes(4, "big")
    return bytes(head) + len(tags).to_bytes(4, "big") + table + body


def display_p3() -> bytes:
    return rgb_profile(
        {
            "rXYZ": (0.5151, 0.2412, -0.0011),
            "gXYZ": (0.2919, 0.6922, 0.0419),
            "bXYZ": (0.1572, 0.0666, 0.7841),
        },
        gamma_curve(2.2),
    )


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def dng(width: int, height: int, orientation: int = 1) -> bytes:
    """The least that LibRaw takes for a camera's file: a mosaic (RGGB) of red above and blue below,
    in one strip."""
    sensor = np.full((height, width), 500, np.uint16)
    sensor[: height // 2 : 2, ::2] = 16_000
    sensor[height // 2 + 1 :: 2, 1::2] = 16_000
    matrix = struct.pack(
        "<18i", *(part for value in (1, 0, 0, 0, 1, 0, 0, 0, 1) for part in (value, 1))
    )
    entries: list[tuple[int, int, int, bytes]] = [
        (254, 4, 1, struct.pack("<I", 0)),
        (256, 4, 1, struct.pack("<I", width)),
        (257, 4, 1, struct.pack("<I", height)),
        (258, 3, 1, struct.pack("<H", 16)),
        (259, 3, 1, struct.pack("<H", 1)),
        (262, 3, 1, struct.pack("<H", 32803)),
        (271, 2, 5, b"Test\0"),
        (272, 2, 5, b"Test\0"),
        (273, 4, 1, b"----"),
        (274, 3, 1, struct.pack("<H", orientation)),
        (277, 3, 1, struct.pack("<H", 1)),
        (278, 4, 1, struct.pack("<I", height)),
        (279, 4, 1, struct.pack("<I", sensor.nbytes)),
        (33421, 3, 2, struct.pack("<HH", 2, 2)),
        (33422, 1, 4, bytes([0, 1, 1, 2])),
        (50706, 1, 4, bytes([1, 4, 0, 0])),
        (50708, 2, 5, b"Test\0"),
        (50717, 4, 1, struct.pack("<I", 16_383)),
        (50721, 10, 9, matrix),
        (50728, 5, 3, struct.pack("<6I", 1, 1, 1, 1, 1, 1)),
    ]
    values, start = b"", 8 + 2 + 12 * len(entries) + 4
    start_of_strip = start + sum(len(value) for *_, value in entries if len(value) > 4)
    directory = struct.pack("<H", len(entries))
    for tag, kind, count, value in entries:
        if tag == 273:
            value = struct.pack("<I", start_of_strip)
        directory += struct.pack("<HHI", tag, kind, count)
        directory += (
            value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", start + len(values))
        )
        values += value if len(value) > 4 else b""
    return b"II*\0\x08\0\0\0" + directory + bytes(4) + values + sensor.tobytes()


def converted(
    folder: Path, content: bytes, transform: Transform | None = None, limits: Limits | None = None
) -> tuple[Picture, bytes]:
    """What ``convert`` makes of a file's bytes, in this process."""
    source, target = folder / "source", folder / "target"
    source.write_bytes(content)
    target.unlink(missing_ok=True)
    picture = convert(source, target, transform or Transform(), limits or Limits())
    return picture, target.read_bytes()


def examined(
    folder: Path, content: bytes, limits: Limits | None = None
) -> tuple[Original, Image.Image]:
    """What ``examine`` tells of a file's bytes, in this process, and the thumbnail that it
    wrote."""
    source, target = folder / "source", folder / "target"
    source.write_bytes(content)
    target.unlink(missing_ok=True)
    original = examine(source, target, limits or Limits())
    thumbnail = opened(target.read_bytes())
    assert thumbnail.format == "WEBP"
    assert thumbnail.size == (original.thumbnail.width, original.thumbnail.height)
    assert original.thumbnail.size == target.stat().st_size
    return original, thumbnail


def opened(content: bytes) -> Image.Image:
    """A result as Pillow sees it: a decoder other than the one under test."""
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def frames_of(picture: Image.Image) -> int:
    return int(getattr(picture, "n_frames", 1))


def pixel(picture: Image.Image, x: int, y: int) -> tuple[int, ...]:
    """One pixel of a picture of several bands."""
    return tuple(int(value) for value in np.asarray(picture)[y, x])


def colours_at_quarters(picture: Image.Image) -> list[tuple[int, ...]]:
    picture = picture.convert("RGB")
    width, height = picture.size
    return [
        pixel(picture, width * column // 4, height * row // 4)
        for row in (1, 3)
        for column in (1, 3)
    ]


def is_near(first: tuple[int, ...], second: tuple[int, ...], tolerance: int = 12) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(first, second, strict=True))
