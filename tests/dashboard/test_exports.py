"""Batch exports in the dashboard."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit
from zipfile import ZipFile

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import undefer

from app.extensions import transaction
from app.imaging import Format, Transform
from app.models import Export, ExportStatus, MediaType, Mode, Role, new_id
from app.services.exports import export_choice, export_worker, presets
from app.services.exports.exports import FAILURES, Config
from tests.client import Answer, ApiClient
from tests.clock import NOON, Clock
from tests.conftest import Account, AccountMaker
from tests.conftest import SignIn as SignInMaker
from tests.databases import on_both_databases
from tests.exports import add_export
from tests.forms import SAME_SITE, post, text_of
from tests.images import encoded
from tests.library import make_asset, make_collection, store
from tests.workspace import upload

OWN = {"format": "webp", "quality": "60", "preserveAspect": "true", "names": "original"}
HTMX = {**SAME_SITE, "HX-Request": "true"}


@pytest.fixture
def member(acme: Account, sign_in: SignInMaker) -> ApiClient:
    return sign_in(acme, Role.MEMBER)


def home(account: Account) -> str:
    return f"{account.home}/exports"


def fill(app: Flask, account: Account, mode: Mode = Mode.LIVE) -> dict[str, str]:
    """Three images, one in a collection, and a video: name → id."""
    with app.app_context(), transaction(account.org_id, mode) as session:
        collection = make_collection(new_id("col", NOON))
        session.add(collection)
        session.flush()
        assets = [
            make_asset(new_id("image", NOON), "one.jpg", content="1" * 64),
            make_asset(new_id("image", NOON), "two.jpg", content="2" * 64),
            make_asset(
                new_id("image", NOON), "three.jpg", content="3" * 64, collection_id=collection.id
            ),
            make_asset(new_id("video", NOON), "film.mp4", media_type=MediaType.VIDEO),
        ]
        store(session, assets)
        return {asset.name: asset.id for asset in assets} | {"collection": collection.id}


def exports(app: Flask, account: Account, mode: Mode = Mode.LIVE) -> list[Export]:
    with app.app_context(), transaction(account.org_id, mode) as session:
        wanted = select(Export).options(undefer(Export.asset_ids)).order_by(Export.id)
        return list(session.scalars(wanted))


def hidden(form: Answer) -> dict[str, str]:
    """The fields that a form brings along."""
    assert form.status_code == 200, form.text
    fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text_of(form))
    return dict(fields)


def start(client: ApiClient, account: Account, form: Answer, **fields: str) -> Answer:
    return post(client, home(account), **{**hidden(form), **OWN, **fields})


def choose(client: ApiClient, account: Account, *ids: str, mode: str = "") -> Answer:
    return client.post(f"{home(account)}/choose{mode}", data={"ids": list(ids)}, headers=SAME_SITE)


def test_chosen_images_are_exported_without_videos(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    ids = fill(app, acme)
    chosen = [ids["two.jpg"], ids["film.mp4"], ids["one.jpg"], "image_gone"]
    form = choose(member, acme, *chosen)
    said = re.sub(r"<[^>]+>|\s+", " ", text_of(form))
    assert "2 images · 1 video is left out · 1 was deleted meanwhile" in " ".join(said.split())
    assert "Counts 2 images." in said
    made = start(member, acme, form)
    (export,) = exports(app, acme)
    assert made.status_code == 303
    assert made.headers["Location"] == f"{home(acme)}/{export.id}"
    assert export.asset_ids == [ids["two.jpg"], ids["one.jpg"]]
    assert Config.from_json(export.config) == Config(Transform(Format.WEBP, 60))
    assert export.actor_id == member.user_id
    for path in ("", f"/{export.id}"):
        page = text_of(member.get(home(acme) + path))
        assert "2 images" in page
        assert "Waiting for its turn" in page
        assert "WebP, quality 60" in page


@on_both_databases
@pytest.mark.parametrize(
    ("query", "names", "asked_for"),
    [
        ("", ["one.jpg", "three.jpg", "two.jpg"], "All images of the library"),
        ("q=one", ["one.jpg"], "What the search finds"),
        ("collectionId={collection}", ["three.jpg"], "The collection “col"),
        ("type=VIDEO", [], "What the search finds"),
        ("sort=name&type=IMAGE", ["one.jpg", "three.jpg", "two.jpg"], "What the search finds"),
    ],
)
def test_a_list_is_exported_as_it_is(
    app: Flask,
    acme: Account,
    sign_in: SignInMaker,
    query: str,
    names: list[str],
    asked_for: str,
) -> None:
    member = sign_in(acme, Role.MEMBER)
    ids = fill(app, acme)
    form = member.get(f"{home(acme)}/new?{query.format(**ids)}")
    assert asked_for in text_of(form)
    made = start(member, acme, form, names="name")
    if not names:
        assert made.status_code == 400
        assert "There is no image to export" in made.text
        return
    (export,) = exports(app, acme)
    assert sorted(export.asset_ids) == sorted(ids[name] for name in names)
    assert Config.from_json(export.config).by_name


@on_both_databases
def test_a_form_that_is_sent_twice_makes_one_export(
    app: Flask, acme: Account, sign_in: SignInMaker
) -> None:
    member = sign_in(acme, Role.MEMBER)
    fill(app, acme)
    form = member.get(f"{home(acme)}/new")
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: start(member, acme, form), range(4)))
    assert [answer.status_code for answer in made] == [303] * 4
    assert len(exports(app, acme)) == 1


def test_going_back_to_a_form_makes_another_export_on_request(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    fill(app, acme)
    form = member.get(f"{home(acme)}/new")
    start(member, acme, form)
    told = start(member, acme, form, quality="61")
    assert told.status_code == 409
    assert "This form has started an export already" in text_of(told)
    fresh = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text_of(told)))
    assert post(member, home(acme), **{**fresh, **OWN, "quality": "61"}).status_code == 303
    qualities = {Config.from_json(one.config).transform.quality for one in exports(app, acme)}
    assert qualities == {60, 61}


def test_a_preset_says_what_is_done(app: Flask, acme: Account, member: ApiClient) -> None:
    fill(app, acme)
    with app.app_context(), transaction(acme.org_id, Mode.LIVE) as session:
        preset, _ = presets.save(session, "hero", Transform(Format.AVIF, 33, 800), NOON)
    form = member.get(f"{home(acme)}/new")
    start(member, acme, form, preset=preset.id)
    (export,) = exports(app, acme)
    wanted = Config(Transform(Format.AVIF, 33, 800), preset_id=preset.id)
    assert Config.from_json(export.config) == wanted
    assert "hero: AVIF, quality 33" in text_of(member.get(f"{home(acme)}/{export.id}"))
    gone = start(member, acme, member.get(f"{home(acme)}/new"), preset="preset_gone")
    assert gone.status_code == 404
    assert "There is no such export preset here." in text_of(gone)
    assert len(exports(app, acme)) == 1


def test_what_is_wrong_is_said_and_nothing_is_made(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    fill(app, acme)
    form = member.get(f"{home(acme)}/new")
    wrong = start(member, acme, form, quality="101", maxWidth="12")
    assert wrong.status_code == 400
    assert "less than or equal to 100" in text_of(wrong)
    assert 'value="12"' in wrong.text
    old = start(member, acme, form, once="nonsense")
    assert "open for too long" in text_of(old)
    part = post(member, f"{home(acme)}/figures", **{**hidden(form), **OWN, "quality": "no"})
    assert part.status_code == 200
    assert 'role="alert"' in part.text
    assert member.get(f"{home(acme)}/new?sort=colour").status_code == 400
    assert exports(app, acme) == []


def test_the_figures_follow_the_settings(
    app: Flask, acme: Account, member: ApiClient, client: ApiClient
) -> None:
    asset = upload(client, acme.key, encoded())
    path = f"/api/v1/assets/{asset['id']}/export-url?format=webp&quality=60"
    client.get(path, headers={"Authorization": f"Bearer {acme.key}"})
    form = hidden(choose(member, acme, asset["id"]))
    for quality, said in (("60", "All are there already"), ("61", "Counts 1 image.")):
        part = post(member, f"{home(acme)}/figures", **{**form, **OWN, "quality": quality})
        assert said in text_of(part)


def test_a_plan_s_limit_is_said_in_the_form(
    app: Flask, make_account: AccountMaker, sign_in: SignInMaker
) -> None:
    account = make_account(plan="TEAM", monthly_images=1)
    fill(app, account)
    member = sign_in(account, Role.MEMBER)
    refused = start(member, account, member.get(f"{home(account)}/new"))
    assert refused.status_code == 402
    assert "This request needs 3 images, and 1 of 1 are left" in text_of(refused)
    assert exports(app, account) == []


def test_too_many_are_refused(
    app: Flask, acme: Account, member: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(app, acme)
    monkeypatch.setattr(export_choice, "MAX_ASSETS", 2)
    for form in (
        member.get(f"{home(acme)}/new"),
        choose(member, acme, ids["one.jpg"], ids["two.jpg"], ids["three.jpg"]),
    ):
        assert "An export holds at most 2 images." in text_of(form)
        assert re.search(r"<button[^>]+disabled[^>]*>.*Start export", form.text, re.DOTALL)


def test_it_runs_and_its_zip_is_downloaded(
    app: Flask, acme: Account, member: ApiClient, sign_in: SignInMaker, client: ApiClient
) -> None:
    good = upload(client, acme.key, encoded(), original="good.jpg")
    form = choose(member, acme, good["id"], *fill_broken(app, acme))
    start(member, acme, form)
    (export,) = exports(app, acme)
    page = f"{home(acme)}/{export.id}"
    asked = member.get(page, headers=HTMX)
    assert (asked.status_code, "every 1s" in asked.text) == (200, True)
    context = app.extensions["lightwell"].processing_context
    with app.app_context():
        export_worker.work(acme.org_id, Mode.LIVE, export.id, context, 500)
    done = member.get(page, headers=HTMX)
    assert (done.status_code, "hx-get" in done.text) == (286, False)
    said = text_of(done)
    assert "Ready" in said
    assert "until 21 Nov 2026, 12:00 UTC" in said
    assert "1 failed" in said
    assert f'{acme.home}/assets/image_broken{acme.slug[-8:]}">broken.jpg' in said
    assert member.get(home(acme), headers=HTMX).status_code == 286
    for person in (member, sign_in(acme, Role.VIEWER)):
        answer = person.get(f"{page}/zip")
        assert answer.status_code == 303
        zipped = client.get(urlsplit(answer.headers["Location"]).path)
        assert zipped.data.startswith(b"PK")
        assert "export-2026-11-20-2-images.zip" in zipped.headers["Content-Disposition"]


def fill_broken(app: Flask, account: Account) -> list[str]:
    """An image whose file is not one that can be read."""
    asset_id = f"image_broken{account.slug[-8:]}"
    storage = app.extensions["lightwell"].storage
    asset = make_asset(asset_id, "broken.jpg", content="f" * 64)
    storage.put(asset.storage_key, [b"not an image"])
    with app.app_context(), transaction(account.org_id, Mode.LIVE) as session:
        session.add(asset)
    return [asset_id]


def test_it_is_cancelled_and_deleted(app: Flask, acme: Account, member: ApiClient) -> None:
    export_id = add_export(app, acme)
    page = f"{home(acme)}/{export_id}"
    assert post(member, f"{page}/delete").headers["Location"] == page
    assert post(member, f"{page}/cancel").headers["Location"] == page
    assert exports(app, acme)[0].status == ExportStatus.CANCELLED
    assert post(member, f"{page}/cancel").status_code == 303
    assert "Cancelled" in member.get(page).text
    assert post(member, f"{page}/delete").headers["Location"] == home(acme)
    assert exports(app, acme) == []


def test_cancelling_one_that_has_ended_keeps_its_zip(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    done: dict[str, Any] = {
        "status": ExportStatus.DONE, "storage_key": "exports/x", "size": 1,
    }  # fmt: skip
    until: dict[str, Any] = {"finished_at": NOON, "expires_at": NOON + timedelta(days=1)}
    export_id = add_export(app, acme, **done, **until)
    post(member, f"{home(acme)}/{export_id}/cancel")
    assert exports(app, acme)[0].storage_key == "exports/x"


def test_what_has_ended_says_why_and_is_asked_for_again(
    app: Flask, acme: Account, member: ApiClient, clock: Clock
) -> None:
    ids = fill(app, acme)
    failed: dict[str, Any] = {"status": ExportStatus.FAILED, "error": "The ZIP has more than 5 MB."}
    failed_id = add_export(app, acme, finished_at=NOON, **failed)
    assert "The ZIP has more than 5 MB." in member.get(f"{home(acme)}/{failed_id}").text
    gone: dict[str, Any] = {"status": ExportStatus.DONE, "finished_at": NOON}
    expired = add_export(
        app, acme, asset_ids=[ids["one.jpg"]], expires_at=NOON + timedelta(days=1), **gone
    )
    clock.advance(days=1)
    page = f"{home(acme)}/{expired}"
    assert "Its ZIP was kept until 21 Nov 2026, 12:00 UTC." in text_of(member.get(page))
    assert member.get(f"{page}/zip").headers["Location"] == page
    form = member.get(f"{home(acme)}/new?again={expired}")
    assert hidden(form)["ids"] == ids["one.jpg"]


def test_failures_are_listed_up_to_a_hundred(app: Flask, acme: Account, member: ApiClient) -> None:
    failures = [{"assetId": f"image_{n}", "name": f"<b>{n}", "error": "No."} for n in range(100)]
    config = Config(Transform()).to_json() | {FAILURES: failures}
    done: dict[str, Any] = {"status": ExportStatus.DONE, "failed": 140, "finished_at": NOON}
    export_id = add_export(app, acme, config=config, expires_at=NOON, **done)
    page = member.get(f"{home(acme)}/{export_id}").text
    assert "The first 100 of 140" in page
    assert page.count("<td>No.</td>") == 100
    assert "<b>0" not in page


def test_the_list_has_pages(
    app: Flask, acme: Account, member: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.dashboard.exports.PAGE_SIZE", 2)
    made = [add_export(app, acme, created_at=NOON + timedelta(minutes=n)) for n in range(3)]
    first = member.get(home(acme)).text
    assert [f'"to-{one}"' in first for one in made] == [False, True, True]
    (following,) = re.findall(r'href="([^"]+)" rel="next"', first)
    second = member.get(following).text
    assert [f'"to-{one}"' in second for one in made] == [True, False, False]


def test_the_modes_have_exports_of_their_own(app: Flask, acme: Account, member: ApiClient) -> None:
    fill(app, acme, Mode.TEST)
    form = member.get(f"{home(acme)}/new?mode=test")
    assert "of today’s test images" in form.text
    path = f"{home(acme)}?mode=test"
    made = post(member, path, **{**hidden(form), **OWN})
    (export,) = exports(app, acme, Mode.TEST)
    assert made.headers["Location"] == f"{home(acme)}/{export.id}?mode=test"
    assert export.id not in member.get(home(acme)).text
    assert member.get(f"{home(acme)}/{export.id}").status_code == 404
    for page in (path, f"{home(acme)}/{export.id}?mode=test", f"{home(acme)}/new?mode=test"):
        for form_text in member.get(page).text.split("<form")[1:]:
            action = form_text.partition('action="')[2].partition('"')[0]
            assert action == "/logout" or action.endswith("?mode=test")


def test_viewers_see_and_download_only(app: Flask, acme: Account, sign_in: SignInMaker) -> None:
    viewer, export_id = sign_in(acme, Role.VIEWER), add_export(app, acme)
    for path in (home(acme), f"{home(acme)}/{export_id}"):
        page = viewer.get(path)
        assert page.status_code == 200
        assert f'action="{home(acme)}' not in page.text
        assert "Export again" not in page.text
        assert "Export all" not in page.text
    assert viewer.get(f"{home(acme)}/new").status_code == 403
    for path in ("", "/choose", "/figures", f"/{export_id}/cancel", f"/{export_id}/delete"):
        assert post(viewer, home(acme) + path).status_code == 403
    assert exports(app, acme)[0].status == ExportStatus.QUEUED


def test_the_plan_must_include_exports(make_account: AccountMaker, sign_in: SignInMaker) -> None:
    account = make_account(plan="FREE")
    owner = sign_in(account, Role.OWNER)
    assert "The Free plan keeps what is here" in owner.get(home(account)).text
    assert owner.get(f"{home(account)}/new").status_code == 402
    assert owner.get(f"{home(account)}/new?mode=test").status_code == 200


@pytest.mark.slow
def test_a_zip_of_many_chosen_images(
    app: Flask, acme: Account, member: ApiClient, client: ApiClient
) -> None:
    """More than a list shows at once, and than a statement takes."""
    data, storage = encoded(), app.extensions["lightwell"].storage
    assets = [
        make_asset(new_id("image", NOON), f"photo {n}.jpg", content="c" * 64) for n in range(1234)
    ]
    for asset in assets:
        storage.put(asset.storage_key, [data])
    with app.app_context(), transaction(acme.org_id, Mode.LIVE) as session:
        store(session, assets)
    form = choose(member, acme, *[asset.id for asset in assets])
    said = text_of(form)
    assert "1,234 images" in said
    assert "Counts 1 image." in said
    start(member, acme, form)
    (export,) = exports(app, acme)
    context = app.extensions["lightwell"].processing_context
    with app.app_context():
        export_worker.work(acme.org_id, Mode.LIVE, export.id, context, 500)
    link = member.get(f"{home(acme)}/{export.id}/zip").headers["Location"]
    with ZipFile(BytesIO(client.get(urlsplit(link).path).data)) as archive:
        assert archive.namelist() == [f"photo {n}.webp" for n in range(1234)]
        assert archive.testzip() is None
