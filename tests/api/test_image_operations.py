"""What is made of an image: through the API, pixel by pixel, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from tests.client import ApiClient
from tests.conftest import Account
from tests.images import encoded, opened
from tests.images_client import ImagesClient, made
from tests.imaging.samples import (
    BLUE,
    GREEN,
    RED,
    WHITE,
    animated,
    animation,
    colours_at_quarters,
    corners,
    pixel,
)
from tests.imaging.samples import encoded as saved

QUARTERS = (RED, GREEN, BLUE, WHITE)


@pytest.fixture
def images(client: ApiClient, acme: Account) -> ImagesClient:
    return ImagesClient(client, acme.key)


@pytest.fixture
def picture(images: ImagesClient) -> dict[str, Any]:
    """80 x 48, a quarter of each colour, without loss."""
    return images.upload(saved(corners(), "PNG"), name="corners", filename="corners.png")


Look = Callable[[dict[str, Any]], Image.Image]


@pytest.fixture
def seen(images: ImagesClient) -> Look:
    """The pixels of an image, as its client gets them."""

    def look(image: dict[str, Any]) -> Image.Image:
        shown = opened(images.download(image).data)
        assert shown.size == (image["width"], image["height"])
        assert (shown.format or "").lower() == image["format"]
        return (
            shown
            if getattr(shown, "is_animated", False)
            else shown.convert("RGBA" if shown.has_transparency_data else "RGB")
        )

    return look


def test_resize_fills_contains_and_covers(
    images: ImagesClient, picture: dict[str, Any], seen: Look
) -> None:
    assert seen(images.make(picture, "resize", width=40)).size == (40, 24)
    assert seen(images.make(picture, "resize", height=96)).size == (160, 96)
    filled = seen(images.make(picture, "resize", width=48, height=48))
    assert colours_at_quarters(filled) == list(QUARTERS)
    body = {
        "width": 100,
        "height": 100,
        "fit": "contain",
        "position": "top-left",
        "letterbox_color": "#0000ff80",
    }
    barred = seen(images.make(picture, "resize", **body))
    assert pixel(barred, 99, 99) == (0, 0, 255, 128)
    assert pixel(barred, 5, 5) == (*RED, 255)
    covered = seen(
        images.make(picture, "resize", width=24, height=48, fit="cover", position="right")
    )
    assert [pixel(covered, 12, y) for y in (10, 40)] == [GREEN, WHITE]


def test_a_transparent_letterbox_makes_a_jpeg_a_png(images: ImagesClient, seen: Look) -> None:
    photo = images.upload(encoded(width=64, height=32))
    clear = images.make(
        photo, "resize", width=64, height=64, fit="contain", letterbox_color="transparent"
    )
    assert clear["format"] == "png"
    assert pixel(seen(clear), 32, 0)[3] == 0
    black = images.make(photo, "resize", width=64, height=64, fit="contain")
    assert black["format"] == "jpeg"
    assert max(pixel(seen(black), 32, 2)) < 10


def test_crop_rotate_and_mirror_move_pixels(
    images: ImagesClient, picture: dict[str, Any], seen: Look
) -> None:
    cropped = seen(images.make(picture, "crop", x1=30, y1=10, x2=80, y2=48))
    assert np.array_equal(np.asarray(cropped), np.asarray(corners())[10:48, 30:80])
    turned = seen(images.make(picture, "rotate", angle=90))
    assert np.array_equal(np.asarray(turned), np.rot90(np.asarray(corners()), -1))
    same = seen(images.make(picture, "rotate", angle=-3 * np.pi / 2, unit="radians"))
    assert np.array_equal(np.asarray(same), np.asarray(turned))
    tilted = seen(images.make(picture, "rotate", angle=45, background_color="red"))
    assert tilted.size == (91, 91)
    assert pixel(tilted, 1, 1)[:3] == (255, 0, 0)
    flopped = seen(images.make(picture, "mirror", mode="horizontal"))
    assert np.array_equal(np.asarray(flopped), np.asarray(corners())[:, ::-1])


def test_a_radian_is_an_angle(images: ImagesClient, picture: dict[str, Any]) -> None:
    degrees = images.make(picture, "rotate", angle=30)
    radians = images.make(picture, "rotate", angle=np.pi / 6, unit="radians")
    assert (
        (degrees["width"], degrees["height"]) == (radians["width"], radians["height"]) == (94, 82)
    )


def test_convert_blur_and_modulate(
    images: ImagesClient, picture: dict[str, Any], seen: Look
) -> None:
    for asked, got in (
        ("jpg", "jpeg"),
        ("png", "png"),
        ("webp", "webp"),
        ("avif", "avif"),
        ("gif", "gif"),
    ):
        assert images.make(picture, "convert", format=asked)["format"] == got
    rough, fine = (
        images.make(picture, "convert", format="jpeg", quality=quality) for quality in (10, 95)
    )
    assert rough["size"] < fine["size"]
    edge = np.asarray(seen(images.make(picture, "blur")).convert("L"), float)
    sharp = np.asarray(corners().convert("L"), float)
    assert np.abs(np.diff(edge)).max() < np.abs(np.diff(sharp)).max() / 3
    gray = np.asarray(seen(images.make(picture, "modulate", saturation=0)), int)
    assert np.ptp(gray, axis=2).max() <= 2
    assert np.array_equal(np.asarray(seen(images.make(picture, "modulate"))), np.asarray(corners()))


def test_watermarks_blend_and_repeat(
    images: ImagesClient, picture: dict[str, Any], seen: Look
) -> None:
    half = images.upload(
        saved(Image.new("RGBA", (8, 8), (0, 0, 0, 128)), "PNG"), filename="mark.png"
    )
    once = seen(
        images.make(picture, "watermark", watermarks=[{"id": half["id"], "top": 4, "left": 70}])
    )
    dark = tuple(round(channel * 127 / 255) for channel in GREEN)
    assert np.abs(np.subtract(pixel(once, 75, 5)[:3], dark)).max() <= 1
    assert pixel(once, 60, 5)[:3] == GREEN
    row = [{"id": half["id"], "top": 30, "left": 3, "width": 4, "repetition_mode": "repeat_x"}]
    rows = np.asarray(seen(images.make(picture, "watermark", watermarks=row)), int)
    changed = np.any(rows != np.asarray(corners()), axis=2)
    assert changed[30:34].all()
    assert not changed[:30].any()
    assert not changed[34:].any()


def test_a_watermark_between_two_pixels_is_at_the_nearer_one(
    images: ImagesClient, picture: dict[str, Any]
) -> None:
    mark = images.upload(
        saved(Image.new("RGBA", (8, 8), (0, 0, 0, 128)), "PNG"), filename="mark.png"
    )

    def at(top: float, left: float) -> bytes:
        places = [{"id": mark["id"], "top": top, "left": left}]
        return bytes(images.download(images.make(picture, "watermark", watermarks=places)).data)

    assert at(4.5, 9.4999) == at(5, 9) != at(4, 9)
    assert at(-3.5, 10.0) == at(-3, 10)


def test_blur_is_by_20_unless_said(images: ImagesClient, picture: dict[str, Any]) -> None:
    usual, same, other = (
        images.make(picture, "blur", **how) for how in ({}, {"sigma": 20}, {"sigma": 19})
    )
    assert images.download(usual).data == images.download(same).data != images.download(other).data


def test_a_chain_is_one_image_that_is_encoded_once(
    images: ImagesClient, picture: dict[str, Any], seen: Look
) -> None:
    before = images.used()
    answer = images.post(
        f"/{picture['id']}/transform",
        name="chained",
        operations=[
            {"rotate": {"angle": 90}},
            {"crop": {"x1": 0, "y1": 0, "x2": 48, "y2": 40}},
            {"resize": {"width": 24}},
            {"convert": {"format": "webp", "quality": 100}},
        ],
    )
    assert answer.headers["X-Image-Processing-Usage"] == "1"
    chained = made(answer)
    assert (chained["name"], chained["width"], chained["height"], chained["format"]) == (
        "chained",
        24,
        20,
        "webp",
    )
    assert colours_at_quarters(seen(chained))[0] == BLUE
    assert images.used() == before + 1


def test_transparency_and_animation_survive(images: ImagesClient, seen: Look) -> None:
    clear = saved(Image.new("RGBA", (40, 20), (10, 20, 200, 0)), "PNG")
    small = seen(images.make(images.upload(clear, filename="x.png"), "resize", width=20))
    assert small.mode == "RGBA"
    assert not np.asarray(small)[..., 3].any()
    moving = images.upload(animated("GIF", animation(), duration=70, loop=0), filename="x.gif")
    turned = seen(images.make(moving, "rotate", angle=90))
    assert turned.size == (40, 64)
    assert len(list(ImageSequence.Iterator(turned))) == 3


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("watermark", {"watermarks": [{"id": "image_x", "top": float("nan")}]}, "watermarks.0.top: "),
    ("watermark", {"watermarks": [{"id": "image_x", "left": float("inf")}]}, "watermarks.0.left: "),
    ("watermark", {"watermarks": [{"id": "image_x", "left": 20_000.5}]}, "watermarks.0.left: "),
    ("watermark", {"watermarks": [{"id": "image_x", "left": "4"}]}, "watermarks.0.left: "),
    ("crop", {"x1": 5, "y1": 0, "x2": 5, "y2": 9}, "x2: must be greater than x1"),
    ("crop", {"x1": 0, "y1": 9, "x2": 5, "y2": 3}, "y2: must be greater than y1"),
    ("crop", {"x1": 0, "y1": 0, "x2": 81, "y2": 9}, "x2: must be at most 80, the image's width"),
    ("crop", {"x1": 0, "y1": 0, "x2": 80, "y2": 49}, "y2: must be at most 48, the image's height"),
    ("crop", {"x1": -1, "y1": 0, "x2": 80, "y2": 9}, "x1: "),
    ("crop", {"x1": 0, "y1": 0, "x2": 80}, "y2: is required"),
    ("crop", {"x1": 0.5, "y1": 0, "x2": 80, "y2": 9}, "x1: "),
    ("crop", {"x1": "0", "y1": 0, "x2": 80, "y2": 9}, "x1: "),
    ("rotate", {"angle": 1e308}, "angle: "),
    ("rotate", {"angle": float("nan")}, "angle: "),
    ("rotate", {"angle": float("inf")}, "angle: "),
    ("rotate", {"angle": 1, "unit": "turns"}, "unit: "),
    (
        "rotate",
        {"angle": 1, "background_color": "blurple"},
        "background_color: must be a CSS colour",
    ),
    ("rotate", {}, "angle: is required"),
    ("resize", {}, "height: width or height is required"),
    ("resize", {"width": 10001}, "width: "),
    ("resize", {"width": 0}, "width: "),
    ("resize", {"width": 5, "height": 5, "fit": "inside"}, "fit: "),
    ("resize", {"width": 5, "height": 5, "position": "middle"}, "position: "),
    ("resize", {"width": 5, "letterbox_color": "#12345"}, "letterbox_color: must be a CSS colour"),
    ("resize", {"width": 5, "hieght": 5}, "hieght: unknown field"),
    ("resize", {"width": 5, "name": "x" * 256}, "name: "),
    ("resize", {"width": 5, "name": "tab\t"}, "name: must not have control characters"),
    ("mirror", {}, "mode: is required"),
    ("mirror", {"mode": "diagonal"}, "mode: "),
    ("convert", {}, "format: is required"),
    ("convert", {"format": "bmp"}, "format: "),
    ("convert", {"format": "jpeg", "quality": 101}, "quality: "),
    ("convert", {"format": "jpeg", "quality": 0}, "quality: "),
    ("blur", {"sigma": 0}, "sigma: "),
    ("blur", {"sigma": 0.29}, "sigma: "),
    ("blur", {"sigma": 1001}, "sigma: "),
    ("modulate", {"hue": 120.5}, "hue: "),
    ("modulate", {"brightness": -0.1}, "brightness: "),
    ("modulate", {"saturation": True}, "saturation: "),
    ("watermark", {"watermarks": []}, "watermarks: "),
    ("watermark", {"watermarks": [{"id": "image_x"}] * 6}, "watermarks: "),
    (
        "watermark",
        {"watermarks": [{"id": "image_x"}]},
        "watermarks.0.id: is no other image of this workspace",
    ),
    ("watermark", {"watermarks": [{"top": 1}]}, "watermarks.0.id: is required"),
    ("transform", {"operations": []}, "operations: "),
    ("transform", {"operations": [{}]}, "operations.0: must name one operation"),
    ("transform", {"operations": [{"blur": None}]}, "operations.0: must name one operation"),
    (
        "transform",
        {"operations": [{"blur": {}, "modulate": {}}]},
        "operations.0: must name one operation",
    ),
    ("transform", {"operations": [{"melt": {}}]}, "operations.0.melt: unknown field"),
    ("transform", {"operations": [{"blur": {}}] * 21}, "operations: "),
    (
        "transform",
        {
            "operations": [
                {"rotate": {"angle": 90}},
                {"crop": {"x1": 0, "y1": 0, "x2": 60, "y2": 60}},
            ]
        },
        "operations.1.crop.x2: must be at most 48, the image's width",
    ),
    (
        "transform",
        {"operations": [{"watermark": {"watermarks": [{"id": "x"}] * 3}}] * 2},
        "operations: ",
    ),
]


def test_bad_input_is_400_and_names_its_field(
    images: ImagesClient, picture: dict[str, Any]
) -> None:
    for operation, body, problem in BAD:
        answer = images.post(f"/{picture['id']}/{operation}", **body)
        assert (answer.status_code, answer.json["type"][-11:]) == (400, "bad_request"), (
            operation,
            body,
            answer.text,
        )
        assert any(one.startswith(problem) for one in answer.json["errors"]), (
            operation,
            body,
            answer.text,
        )
    assert images.used() == 1


def test_an_image_cannot_be_its_own_watermark_nor_another_organization_s(
    client: ApiClient, images: ImagesClient, picture: dict[str, Any], globex: Account
) -> None:
    theirs = ImagesClient(client, globex.key).upload()
    for foreign in (picture["id"], theirs["id"]):
        answer = images.post(f"/{picture['id']}/watermark", watermarks=[{"id": foreign}])
        assert (answer.status_code, answer.json["errors"]) == (
            400,
            ["watermarks.0.id: is no other image of this workspace"],
        )


def test_what_would_be_too_large_is_413(images: ImagesClient) -> None:
    line = images.upload(saved(Image.new("RGB", (1, 1000)), "PNG"), filename="x.png")
    answer = images.post(f"/{line['id']}/resize", width=10_000)
    assert (answer.status_code, answer.json["code"]) == (413, "image_too_large")


def test_no_body_is_an_empty_one(images: ImagesClient, picture: dict[str, Any]) -> None:
    assert made(images.request("POST", f"/{picture['id']}/blur"))
    assert made(
        images.request(
            "POST", f"/{picture['id']}/modulate", headers={"Content-Type": "application/json"}
        )
    )
    assert images.request("POST", f"/{picture['id']}/crop").json["errors"][0] == "x1: is required"
