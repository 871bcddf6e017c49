"""Export presets in the dashboard."""

import pytest
from flask import Flask
from sqlalchemy import update

from app.extensions import transaction
from app.imaging import Format, Transform
from app.models import Mode, Organization, Role
from app.services.exports import presets
from app.services.exports.presets import in_words
from tests.client import ApiClient, bearer
from tests.conftest import Account, AccountMaker
from tests.conftest import SignIn as SignInMaker
from tests.databases import on_both_databases
from tests.exports import add_export
from tests.forms import post, text_of

HERO = {
    "name": "hero", "format": "webp", "quality": "70", "maxWidth": "1600", "maxHeight": "",
    "preserveAspect": "true",
}  # fmt: skip


@pytest.fixture
def member(acme: Account, sign_in: SignInMaker) -> ApiClient:
    return sign_in(acme, Role.MEMBER)


def home(account: Account) -> str:
    return f"{account.home}/presets"


def saved(app: Flask, account: Account, mode: Mode = Mode.LIVE) -> dict[str, Transform]:
    with app.app_context(), transaction(account.org_id, mode) as session:
        return {one.name: presets.transform_of(one) for one in presets.find(session)}


def id_of(app: Flask, account: Account, name: str) -> str:
    with app.app_context(), transaction(account.org_id, Mode.LIVE) as session:
        return presets.get(session, name).id


def test_a_preset_is_made_changed_copied_and_deleted(
    app: Flask, acme: Account, member: ApiClient, client: ApiClient
) -> None:
    made = post(member, home(acme), **HERO)
    assert (made.status_code, made.headers["Location"]) == (303, home(acme))
    webp = Transform(format=Format.WEBP, quality=70, max_width=1600)
    assert saved(app, acme) == {"hero": webp}
    (listed,) = client.get("/api/v1/export-presets", headers=bearer(acme.key)).json["presets"]
    assert (listed["name"], listed["format"], listed["maxWidth"]) == ("hero", "WEBP", 1600)
    assert "WebP, quality 70, at most 1600 px wide" in text_of(member.get(home(acme)))

    preset = id_of(app, acme, "hero")
    copied = member.get(f"{home(acme)}/new?copy={preset}")
    assert 'value="hero (copy)"' in copied.text
    assert 'value="1600"' in copied.text
    post(member, home(acme), **{**HERO, "name": "hero (copy)"})

    post(member, f"{home(acme)}/{preset}", name="wall", quality="50", maxHeight="400")
    low = Transform(quality=50, max_height=400, preserve_aspect=False)
    assert saved(app, acme) == {"wall": low, "hero (copy)": webp}
    shown = text_of(member.get(f"{home(acme)}/{preset}"))
    assert "Format as it is, quality 50, at most 400 px high, proportions not kept" in shown

    post(member, f"{home(acme)}/{preset}/delete")
    assert list(saved(app, acme)) == ["hero (copy)"]


@on_both_databases
def test_no_preset_is_overwritten_by_another(
    app: Flask, acme: Account, sign_in: SignInMaker
) -> None:
    member = sign_in(acme, Role.MEMBER)
    post(member, home(acme), **HERO)
    post(member, home(acme), **{**HERO, "name": "wall", "quality": "50"})
    before = saved(app, acme)
    assert post(member, home(acme), **HERO).status_code == 303  # a double click
    wall = id_of(app, acme, "wall")
    for path in (home(acme), f"{home(acme)}/{wall}"):
        refused = post(member, path, **{**HERO, "quality": "20"})
        assert refused.status_code == 409
        assert "There is a preset 'hero' already" in text_of(refused)
        assert 'value="20"' in refused.text
    assert saved(app, acme) == before


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": " "}, "ive the preset a name of 1 to 255 characters"),
        ({"name": "a\x07b"}, "ust not have control characters"),
        ({"format": "bmp"}, "ust be one of JPEG"),
        ({"quality": "0"}, "greater than or equal to 1"),
        ({"quality": "many"}, "integer"),
        ({"maxWidth": "100001"}, "less than or equal to 100000"),
    ],
)
def test_what_is_wrong_stands_at_its_field(
    app: Flask, acme: Account, member: ApiClient, fields: dict[str, str], problem: str
) -> None:
    answer = post(member, home(acme), **{**HERO, **fields})
    assert answer.status_code == 400
    assert problem in text_of(answer)
    assert 'role="alert"' in answer.text
    assert saved(app, acme) == {}


def test_a_new_one_begins_with_the_organization_s_preferences(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    with app.app_context(), transaction(acme.org_id) as session:
        session.change(
            update(Organization)
            .where(Organization.id == acme.org_id)
            .values(default_quality=63, default_format="avif")
        )
    form = member.get(f"{home(acme)}/new").text
    assert 'value="63"' in form
    assert '<option value="avif" selected>' in form


@on_both_databases
def test_it_tells_which_exports_were_asked_for_with_it(
    app: Flask, acme: Account, sign_in: SignInMaker
) -> None:
    member = sign_in(acme, Role.MEMBER)
    post(member, home(acme), **HERO)
    preset = id_of(app, acme, "hero")
    for preset_id in (preset, preset, None):
        add_export(app, acme, preset_id=preset_id)
    assert "2 exports of the last 30 days were" in text_of(member.get(f"{home(acme)}/{preset}"))


def test_the_modes_have_presets_of_their_own(app: Flask, acme: Account, member: ApiClient) -> None:
    made = post(member, f"{home(acme)}?mode=test", **HERO)
    assert made.headers["Location"] == f"{home(acme)}?mode=test"
    assert (list(saved(app, acme)), list(saved(app, acme, Mode.TEST))) == ([], ["hero"])
    assert "hero" not in member.get(f"{home(acme)}/new").text.partition("<main")[2][:200]
    for path in ("", "/new"):
        for form in member.get(f"{home(acme)}{path}?mode=test").text.split("<form")[1:]:
            action = form.partition('action="')[2].partition('"')[0]
            assert action == "/logout" or action.endswith("?mode=test")


def test_viewers_read_only(
    app: Flask, acme: Account, member: ApiClient, sign_in: SignInMaker
) -> None:
    post(member, home(acme), **HERO)
    viewer, preset = sign_in(acme, Role.VIEWER), id_of(app, acme, "hero")
    for path in (home(acme), f"{home(acme)}/{preset}"):
        page = viewer.get(path)
        assert "WebP, quality 70" in page.text
        assert f'action="{home(acme)}' not in page.text
        assert "Delete" not in page.text
    assert viewer.get(f"{home(acme)}/new").status_code == 403
    for path in ("", f"/{preset}", f"/{preset}/delete"):
        assert post(viewer, home(acme) + path, **HERO).status_code == 403
    assert list(saved(app, acme)) == ["hero"]


def test_the_plan_must_include_presets(make_account: AccountMaker, sign_in: SignInMaker) -> None:
    account = make_account(plan="FREE")
    owner = sign_in(account, Role.OWNER)
    assert "The Free plan keeps what is here" in owner.get(home(account)).text
    assert post(owner, home(account), **HERO).status_code == 402
    assert post(owner, f"{home(account)}?mode=test", **HERO).status_code == 303


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (Transform(), "Format as it is, quality 80"),
        (
            Transform(Format.AVIF, 40, max_width=800, max_height=600),
            "AVIF, quality 40, at most 800 × 600 px",
        ),
        (
            Transform(Format.GIF, max_height=9, preserve_aspect=False),
            "GIF, quality 80, at most 9 px high, proportions not kept",
        ),
    ],
)
def test_what_it_does_in_words(transform: Transform, words: str) -> None:
    assert in_words(transform) == words
