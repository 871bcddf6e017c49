"""What test keys make through the images dialect: marked beyond mistake, and free."""

from typing import Any

import numpy as np
import pytest
from flask import Flask
from PIL import Image

from tests.client import ApiClient
from tests.conftest import Account, AppMaker
from tests.images import opened
from tests.images_client import ImagesClient, made
from tests.imaging.samples import encoded as saved

WHITE = saved(Image.new("RGB", (200, 150), "white"), "PNG")
OPERATIONS: dict[str, dict[str, Any]] = {
    "resize": {"width": 120},
    "crop": {"x1": 10, "y1": 10, "x2": 190, "y2": 140},
    "rotate": {"angle": 90},
    "mirror": {"mode": "both"},
    "convert": {"format": "jpeg"},
    "blur": {"sigma": 50},
    "modulate": {"brightness": 1},
    "watermark": {},
    "transform": {"operations": [{"blur": {"sigma": 50}}, {"convert": {"format": "webp"}}]},
}


@pytest.fixture(scope="module")
def sqlite_app(make_app: AppMaker) -> Flask:
    """An application whose test keys may ask as often as these tests do."""
    return make_app(ratelimit_test_keys="1000/minute")


def darkened(images: ImagesClient, image: dict[str, Any]) -> float:
    """The share of pixels that are clearly not white any more."""
    return float((np.asarray(opened(images.download(image).data).convert("L"), int) < 200).mean())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_a_test_key_makes_is_watermarked_and_what_a_live_key_makes_is_not(
    client: ApiClient, acme: Account, operation: str
) -> None:
    live, test = ImagesClient(client, acme.key), ImagesClient(client, acme.test_key)
    for images in (live, test):
        mark = images.upload(
            saved(Image.new("RGBA", (9, 9), (255, 255, 255, 80)), "PNG"), filename="mark.png"
        )
        body = OPERATIONS[operation]
        if operation == "watermark":
            body = {"watermarks": [{"id": mark["id"]}]}
        original = images.upload(WHITE, filename="white.png")
        assert darkened(images, original) == 0
        share = darkened(images, images.make(original, operation, **body))
        assert share > 0.05 if images is test else share == 0
    assert live.used() == 3


def test_samples_of_words_are_watermarked(client: ApiClient, acme: Account) -> None:
    images = ImagesClient(client, acme.test_key)
    painted = made(images.post("/imagine", prompt="a white winter morning", name="x", seed=1))
    shown = np.asarray(opened(images.download(painted).data).convert("L"), int)
    # The words are white in dark outlines, steeper than anything that the painter draws.
    assert (np.abs(np.diff(shown, axis=1)) > 60).mean() > 0.01
