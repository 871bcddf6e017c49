"""The editor: previews of a chain, and the image that is saved once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import select

from app.extensions import transaction
from app.models import Asset, Mode, Role
from tests.client import Answer, ApiClient, bearer
from tests.conftest import Account, AccountMaker
from tests.conftest import SignIn as SignInMaker
from tests.databases import on_both_databases
from tests.forms import SAME_SITE, text_of
from tests.images import encoded, photo
from tests.images_client import ImagesClient
from tests.workspace import upload

CHAIN: list[dict[str, Any]] = [
    {"crop": {"x1": 100, "y1": 50, "x2": 700, "y2": 450}},
    {"rotate": {"angle": 5, "background_color": "#ffffff"}},
    {"convert": {"format": "webp", "quality": 70}},
]
JSON = {**SAME_SITE, "Accept": "application/json"}


@pytest.fixture
def member(acme: Account, sign_in: SignInMaker) -> ApiClient:
    return sign_in(acme, Role.MEMBER)


@pytest.fixture
def images(client: ApiClient, acme: Account) -> ImagesClient:
    return ImagesClient(client, acme.key)


@pytest.fixture
def image(images: ImagesClient) -> dict[str, Any]:
    return images.upload(encoded("JPEG", 800, 600), name="hero")


@pytest.fixture
def logo(images: ImagesClient) -> dict[str, Any]:
    mark = Image.new("RGBA", (200, 100), (250, 160, 20, 200))
    mark.save(buffer := BytesIO(), "PNG")
    return images.upload(buffer.getvalue(), name="logo", filename="logo.png")


Post = Callable[..., Answer]


@pytest.fixture
def send(acme: Account, member: ApiClient, image: dict[str, Any]) -> Post:
    """Send a part of the editor a body, as its script does."""

    def post(part: str = "", key: str = "", by: ApiClient = member, **body: Any) -> Answer:
        path = f"{acme.home}/assets/{image['id']}/edit{part}"
        headers = JSON | ({"Idempotency-Key": key} if key else {})
        return by.post(path, json=body, headers=headers)

    return post


def opened(answer: Answer) -> Image.Image:
    assert answer.status_code == 200, answer.text
    picture = Image.open(BytesIO(answer.data))
    picture.load()
    return picture


def test_the_page_offers_each_operation(
    acme: Account, member: ApiClient, image: dict[str, Any]
) -> None:
    page = member.get(f"{acme.home}/assets/{image['id']}/edit")
    assert page.status_code == 200
    for operation in (
        "crop", "rotate", "mirror", "resize", "blur", "modulate", "watermark", "convert",
    ):  # fmt: skip
        assert f'data-add="{operation}"' in page.text
    assert "Counts as one image" in page.text
    assert "The editor needs JavaScript." in page.text
    test = member.get(f"{acme.home}/assets/{image['id']}/edit?mode=test")
    assert test.status_code == 404


def test_a_preview_is_small_tells_the_true_sizes_and_counts_nothing(
    send: Post, images: ImagesClient
) -> None:
    used = images.used()
    answer = send("/preview", operations=CHAIN, side=300)
    picture = opened(answer)
    assert picture.format == "WEBP"
    assert max(picture.size) <= 300
    assert answer.headers["X-Image-Sizes"] == "800x600 600x400 633x451 633x451"
    assert answer.headers["Cache-Control"] == "no-store"
    assert opened(send("/preview", operations=[], side=1600)).size == (800, 600)
    assert images.used() == used


def test_part_of_a_chain_is_shown_and_the_rest_is_checked(send: Post) -> None:
    chain = [
        {"rotate": {"angle": 90}},
        {"crop": {"x1": 0, "y1": 0, "x2": 700, "y2": 500}},
        {"resize": {"width": 30}},
    ]
    answer = send("/preview", operations=chain, shown=1, side=400)
    assert opened(answer).size == (300, 400)
    assert answer.headers["X-Image-Sizes"] == "800x600 600x800 700x500 30x21"
    assert "operations.1.crop.x2: must be at most 600" in answer.headers["X-Image-Problems"]
    refused = send("/preview", operations=chain)
    assert refused.status_code == 400
    assert refused.json["errors"] == [
        "operations.1.crop.x2: must be at most 600, the image's width"
    ]


def test_what_is_too_large_is_said_at_its_step(send: Post) -> None:
    chain = [{"blur": {"sigma": 2}}, {"resize": {"width": 10_000, "height": 10_000}}]
    assert opened(send("/preview", operations=chain)).size == (1200, 1200)
    chain.append({"rotate": {"angle": 45}})
    answer = send("/preview", operations=chain)
    assert answer.status_code == 413
    assert answer.json["errors"][0].startswith("operations.2.rotate: This would make 14,143 x")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "operations: is required"),
        ({"operations": "x"}, "operations: "),
        ({"operations": [{}]}, "operations.0: must name one operation"),
        ({"operations": [{"blur": {"sigma": 0}}]}, "operations.0.blur.sigma: "),
        ({"operations": [{"blur": {"sigma": 1}}] * 21}, "operations: "),
        ({"operations": [], "side": 1601}, "side: "),
        ({"operations": [], "shown": -1}, "shown: "),
        (
            {"operations": [{"watermark": {"watermarks": [{"id": "image_gone"}]}}]},
            "operations.0.watermark.watermarks.0.id: is no other image",
        ),
    ],
)
def test_what_is_wrong_names_its_field(send: Post, body: dict[str, Any], problem: str) -> None:
    answer = send("/preview", **body)
    assert answer.status_code == 400
    text = " ".join(answer.json.get("errors", [answer.json["error"]]))
    assert problem in text


def test_a_watermark_comes_from_the_library(
    acme: Account, member: ApiClient, send: Post, image: dict[str, Any], logo: dict[str, Any]
) -> None:
    path = f"{acme.home}/assets/{image['id']}/edit/pictures"
    listed = member.get(path).json
    assert [(one["name"], one["width"], one["height"]) for one in listed] == [("logo", 200, 100)]
    assert [one["id"] for one in member.get(f"{path}?q=LOGO").json] == [logo["id"]]
    assert member.get(f"{path}?q=nothing").json == []
    mark = {"id": logo["id"], "left": 600, "top": 500, "width": 200}
    chain = [{"watermark": {"watermarks": [mark]}}]
    picture = opened(send("/preview", operations=chain, side=400)).convert("RGB")
    red, _, blue = picture.getpixel((350, 275))  # type: ignore[misc]
    assert red > 200
    assert blue < 100


def test_a_crop_of_a_large_picture_is_sharp(
    acme: Account, member: ApiClient, images: ImagesClient
) -> None:
    """Not enlarged from the small version."""
    stripes = Image.new("L", (3200, 400))
    for x in range(0, 3200, 4):
        stripes.paste(255, (x, 0, x + 2, 400))
    stripes.save(buffer := BytesIO(), "PNG")
    large = images.upload(buffer.getvalue(), filename="stripes.png")
    body = {"operations": [{"crop": {"x1": 0, "y1": 0, "x2": 400, "y2": 400}}], "side": 400}
    path = f"{acme.home}/assets/{large['id']}/edit/preview"
    picture = opened(member.post(path, json=body, headers=JSON)).convert("L")
    assert picture.size == (400, 400)
    low, high = picture.getextrema()
    assert low < 60  # type: ignore[operator]
    assert high > 195  # type: ignore[operator]


@on_both_databases
def test_it_is_saved_once_counted_once_and_as_the_api_makes_it(
    app: Flask, acme: Account, send: Post, images: ImagesClient, image: dict[str, Any]
) -> None:
    used = images.used()

    def save(_: int = 0) -> Answer:
        return send("", key="chain-1", name="cut", operations=CHAIN)

    with ThreadPoolExecutor(3) as threads:
        parallel = list(threads.map(save, range(3)))
    answers = [*parallel, save()]
    assert {answer.status_code for answer in answers} <= {201, 409}
    made = {answer.json["id"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert images.used() == used + 1
    (made_id,) = made
    assert answers[-1].json["url"] == f"{acme.home}/assets/{made_id}"
    by_api = images.make(image, "transform", name="cut", operations=CHAIN)
    assert images.download({"id": made_id}).data == images.download(by_api).data
    with app.app_context(), transaction(acme.org_id, Mode.LIVE) as session:
        row = session.scalars(select(Asset).where(Asset.id == made_id)).one()
        assert (row.name, row.made_from, row.operations) == ("cut", image["id"], CHAIN)


def test_saving_takes_a_key_a_chain_and_a_name(send: Post, images: ImagesClient) -> None:
    used = images.used()
    assert send("", operations=CHAIN).status_code == 400
    assert send("/remove-background").status_code == 400
    assert send("", key="a", operations=[]).status_code == 400
    assert send("", key="b", operations=CHAIN, name="").status_code == 400
    assert images.used() == used


def test_the_month_s_limit_holds(
    client: ApiClient, make_account: AccountMaker, sign_in: SignInMaker
) -> None:
    poor = make_account(plan="FREE", monthly_images=1)
    image = ImagesClient(client, poor.key).upload(encoded("JPEG", 80, 60))
    path = f"{poor.home}/assets/{image['id']}/edit"
    member, body = sign_in(poor), {"operations": [{"blur": {"sigma": 1}}]}
    assert member.post(f"{path}/preview", json=body, headers=JSON).status_code == 200
    answer = member.post(path, json=body, headers={**JSON, "Idempotency-Key": "one"})
    assert (answer.status_code, answer.json["code"]) == (402, "quota_exceeded")


def test_test_data_is_stamped_in_previews_too(
    acme: Account, client: ApiClient, member: ApiClient
) -> None:
    images = ImagesClient(client, acme.test_key)
    image = images.upload(encoded("JPEG", 400, 300))
    path = f"{acme.home}/assets/{image['id']}/edit"
    body = {"operations": [{"mirror": {"mode": "both"}}, {"mirror": {"mode": "both"}}]}
    shown = opened(member.post(f"{path}/preview?mode=test", json=body, headers=JSON))
    plain = photo(400, 300).convert("L")
    pairs = zip(shown.convert("L").tobytes(), plain.tobytes(), strict=True)
    assert sum(abs(one - other) > 60 for one, other in pairs) > 0.1 * 400 * 300
    assert "Test data: free" in member.get(f"{path}?mode=test").text
    assert member.post(f"{path}/preview", json=body, headers=JSON).status_code == 404


def test_viewers_can_t(
    acme: Account, sign_in: SignInMaker, send: Post, image: dict[str, Any], images: ImagesClient
) -> None:
    viewer, used = sign_in(acme, Role.VIEWER), images.used()
    assert viewer.get(f"{acme.home}/assets/{image['id']}/edit").status_code == 403
    for part in ("", "/preview", "/remove-background"):
        assert send(part, key="k", by=viewer, operations=CHAIN).status_code == 403
    assert images.used() == used


def test_videos_lead_back(
    app: Flask, acme: Account, client: ApiClient, member: ApiClient, send: Post
) -> None:
    video = upload(client, acme.key)
    with app.app_context(), transaction(acme.org_id, Mode.LIVE) as session:
        row = session.scalars(select(Asset).where(Asset.id == video["id"])).one()
        row.media_type = "VIDEO"
    path = f"{acme.home}/assets/{video['id']}"
    answer = member.get(f"{path}/edit")
    assert (answer.status_code, answer.headers["Location"]) == (303, path)
    refused = member.post(f"{path}/edit/preview", json={"operations": []}, headers=JSON)
    assert refused.status_code == 404


def test_without_the_model_removing_backgrounds_is_refused_kindly(
    acme: Account, member: ApiClient, send: Post, image: dict[str, Any], client: ApiClient
) -> None:
    page = text_of(member.get(f"{acme.home}/assets/{image['id']}/edit"))
    if "This server has no model for it." not in page:
        pytest.skip("this server has the model")
    answer = send("/remove-background", key="cut")
    assert answer.status_code == 501
    assert "cannot remove backgrounds" in answer.json["error"]
    assert client.get("/usage", headers=bearer(acme.key)).json["used"] == 1
