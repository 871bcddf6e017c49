"""The playground of an organization."""

import pytest
from flask import Flask

from app.models import Role
from app.services import idempotency
from tests.client import ApiClient, bearer
from tests.conftest import Account, AccountMaker, SignIn
from tests.images import encoded, opened
from tests.squeezing import squeeze

PICTURE = encoded(width=320, height=240)


def home(account: Account) -> str:
    return f"{account.home}/playground"


def used(client: ApiClient, account: Account) -> int:
    return int(client.get("/usage", headers=bearer(account.key)).json["used"])


@pytest.fixture
def member(acme: Account, sign_in: SignIn) -> ApiClient:
    return sign_in(acme)


def test_it_makes_what_the_api_makes_and_counts_as_the_api_does(
    acme: Account, member: ApiClient, client: ApiClient
) -> None:
    fields = {"mimeType": "image/webp", "quality": "0.6", "maxHeight": "100"}
    answer = squeeze(member, home(acme), PICTURE, **fields)
    assert (answer.status_code, answer.mimetype) == (200, "image/webp")
    assert answer.headers["X-Image-Processing-Usage"] == "1"
    assert used(client, acme) == 1
    (result,) = client.compress(acme.key, PICTURE, **fields).json["results"]
    assert opened(answer.data).size == (result["width"], result["height"]) == (133, 100)
    assert len(answer.data) == result["size"]


def test_in_test_mode_it_stamps_and_counts_nothing(
    acme: Account, member: ApiClient, client: ApiClient
) -> None:
    stamped = squeeze(member, f"{home(acme)}?mode=test", PICTURE)
    assert stamped.status_code == 200
    assert "X-Image-Processing-Usage" not in stamped.headers
    assert stamped.headers["X-Images-Left"] == "499"
    assert used(client, acme) == 0
    assert stamped.data != squeeze(member, home(acme), PICTURE).data


def test_a_request_whose_answer_was_lost_is_repeated_and_counts_once(
    acme: Account, member: ApiClient, client: ApiClient
) -> None:
    once = {"Idempotency-Key": "one file, these settings"}
    first = squeeze(member, home(acme), PICTURE, headers=once)
    again = squeeze(member, home(acme), PICTURE, headers=once)
    assert again.data == first.data
    for name in ("X-Image-Width", "X-Original-Ticket", "Content-Disposition"):
        assert again.headers[name] == first.headers[name]
    assert used(client, acme) == 1


def test_an_answer_too_large_to_keep_is_made_again_and_counts_once(
    acme: Account, member: ApiClient, client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_KEPT_BYTES", 10)
    once = {"Idempotency-Key": "large"}
    first, again = (squeeze(member, home(acme), PICTURE, headers=once) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.data == first.data
    assert used(client, acme) == 1


@pytest.mark.parametrize(
    ("data", "fields", "status", "sentence"),
    [
        (b"no picture", {}, 422, "no image of a supported format"),
        (PICTURE[:900], {}, 422, "damaged or incomplete"),
        (PICTURE, {"maxWidth": "-1"}, 400, "maxWidth: "),
        (PICTURE, {"mimeType": "image/tiff"}, 400, "mimeType: must be one of"),
    ],
)
def test_a_refusal_is_a_sentence_and_costs_nothing(
    acme: Account,
    member: ApiClient,
    client: ApiClient,
    data: bytes,
    fields: dict[str, str],
    status: int,
    sentence: str,
) -> None:
    answer = squeeze(member, home(acme), data, **fields)
    assert answer.status_code == status
    assert sentence in answer.json["error"]
    assert used(client, acme) == 0


def test_the_plan_s_limits_hold(make_account: AccountMaker, sign_in: SignIn) -> None:
    small = make_account(monthly_images=1, file_mb=1)
    member = sign_in(small)
    big = squeeze(member, home(small), bytes(1024 * 1024 + 1), "big.jpg")
    assert (big.status_code, "1 MB, the most that the plan allows" in big.json["error"]) == (
        413,
        True,
    )
    assert squeeze(member, home(small), PICTURE).headers["X-Images-Left"] == "0"
    over = squeeze(member, home(small), PICTURE)
    assert (over.status_code, over.json["code"]) == (429, "monthly_limit_reached")
    assert '<b class="num" data-left>0</b> of 1 left this month' in member.get(home(small)).text


def test_one_file_at_a_time(acme: Account, member: ApiClient) -> None:
    assert squeeze(member, home(acme), PICTURE, **{"file": "text"}).status_code == 400


def test_viewers_have_none(acme: Account, sign_in: SignIn) -> None:
    viewer = sign_in(acme, Role.VIEWER)
    assert viewer.get(home(acme)).status_code == 403
    assert squeeze(viewer, home(acme), PICTURE).status_code == 403
    assert "Playground" not in viewer.get(acme.home).text
    assert "Playground" in sign_in(acme).get(acme.home).text


def test_every_plan_has_it(make_account: AccountMaker, sign_in: SignIn) -> None:
    free = make_account(plan="FREE")
    assert squeeze(sign_in(free), home(free), PICTURE).status_code == 200


def test_an_original_is_shown_to_whom_it_was_compressed_for(
    app: Flask, acme: Account, globex: Account, sign_in: SignIn, client: ApiClient
) -> None:
    member, other = sign_in(acme), sign_in(acme)
    tiff = encoded("TIFF", 2400, 300)
    ticket = squeeze(member, home(acme), tiff, "a.tif").headers["X-Original-Ticket"]
    path = f"{home(acme)}/original"
    shown = squeeze(member, path, tiff, "a.tif", ticket=ticket, maxWidth="9")
    assert (shown.status_code, shown.mimetype) == (200, "image/webp")
    assert opened(shown.data).size == (2000, 250)
    assert used(client, acme) == 1
    for whose, where, data, with_ticket in (
        (member, path, tiff, ""),
        (member, path, PICTURE, ticket),
        (other, path, tiff, ticket),
        (sign_in(globex), f"{home(globex)}/original", tiff, ticket),
        (member, f"{path}?mode=test", tiff, ticket),
    ):
        assert squeeze(whose, where, data, ticket=with_ticket).status_code == 404


def test_what_was_compressed_as_test_data_is_shown_stamped_only(
    acme: Account, member: ApiClient
) -> None:
    """Test data is free: its ticket must not open the way without the watermark."""
    stamped = squeeze(member, f"{home(acme)}?mode=test", PICTURE)
    ticket = stamped.headers["X-Original-Ticket"]
    path = f"{home(acme)}/original"
    assert squeeze(member, f"{path}?mode=test", PICTURE, ticket=ticket).status_code == 200
    assert squeeze(member, path, PICTURE, ticket=ticket).status_code == 404


def test_the_page_says_what_it_costs(
    acme: Account, make_account: AccountMaker, sign_in: SignIn
) -> None:
    free = make_account(plan="FREE")
    page = sign_in(free).get(home(free)).text
    assert '<b class="num" data-left>100</b> of 100 left this month' in page
    assert f'href="{free.home}/keys/new?mode=test"' in page
    tried = sign_in(free).get(f"{home(free)}?mode=test").text
    assert "Free, with a watermark" in tried
    assert f'action="{home(free)}?mode=test"' in tried
    assert "Each file counts as one image.</span>" in sign_in(acme).get(home(acme)).text
