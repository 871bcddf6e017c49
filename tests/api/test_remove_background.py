"""``remove-background``, by the real network where it is there."""

import numpy as np
import pytest
from flask import Flask
from PIL import ImageDraw

from tests.client import ApiClient
from tests.conftest import Account, AccountMaker, AppMaker
from tests.images import opened
from tests.images_client import ImagesClient, made
from tests.imaging.samples import encoded, noise
from tests.models import U2NET, needs_models


@pytest.fixture(scope="module")
def sqlite_app(make_app: AppMaker) -> Flask:
    return make_app(background_weights=U2NET)


def ball() -> bytes:
    """A red ball before a soft ground."""
    picture = noise(400, 300).convert("RGB").point(lambda level: 180 + level // 4)
    ImageDraw.Draw(picture).ellipse((120, 70, 280, 230), fill=(210, 40, 30))
    return encoded(picture, "JPEG", quality=95)


@needs_models
def test_a_new_png_without_the_background_counts_two(client: ApiClient, acme: Account) -> None:
    images = ImagesClient(client, acme.key)
    image = images.upload(ball())
    answer = images.post(f"/{image['id']}/remove-background", name="ball")
    assert answer.headers["X-Image-Processing-Usage"] == "2"
    cut = made(answer)
    assert (cut["name"], cut["format"], cut["width"], cut["height"]) == ("ball", "png", 400, 300)
    pixels = np.asarray(opened(images.download(cut).data).convert("RGBA"))
    assert pixels[150, 200].tolist()[3] == 255
    assert pixels[5:20, 5:20, 3].max() < 10
    assert np.abs(pixels[150, 200, :3].astype(int) - (210, 40, 30)).max() < 12
    assert images.used() == 3


@needs_models
def test_with_a_test_key_it_is_stamped_and_free(client: ApiClient, acme: Account) -> None:
    images = ImagesClient(client, acme.test_key)
    answer = images.request("POST", f"/{images.upload(ball())['id']}/remove-background")
    assert "X-Image-Processing-Usage" not in answer.headers
    shown = np.asarray(opened(images.download(made(answer)).data).convert("RGBA"))
    assert (shown[:60, :, 3] > 60).mean() > 0.05
    assert images.used() == 0


@needs_models
def test_two_left_are_needed(client: ApiClient, make_account: AccountMaker) -> None:
    images = ImagesClient(
        client, make_account(plan="FREE", monthly_images=2, requests_per_second=100).key
    )
    image = images.upload(ball())
    answer = images.post(f"/{image['id']}/remove-background")
    assert (answer.status_code, answer.json["code"]) == (402, "quota_exceeded")
    assert images.used() == 1
