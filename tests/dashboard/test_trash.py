"""The page of the trash: what it shows to whom, restoring, emptying."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app.dashboard import trash as page
from app.extensions import transaction
from app.models import AuditEntry, Role, StorageCounter, TrashedAsset, new_id
from app.services.library import assets, storage_quota, trash
from app.services.library.assets import Label
from app.tenancy import TenantSession, insert_if_absent
from tests.actors import A_KEY
from tests.client import Answer, ApiClient
from tests.clock import Clock
from tests.conftest import Account, SignIn
from tests.forms import SAME_SITE, post, text_of
from tests.library import make_asset

SIZE = 1024 * 1024


class Trash:
    """The trash of an organization, and its page."""

    def __init__(self, app: Flask, account: Account, clock: Clock, mode: str = "live") -> None:
        self.app, self.account, self.clock, self.mode = app, account, clock, mode
        self.path = f"/dashboard/{account.slug}/trash"

    def fill(self, *names: str) -> list[str]:
        ids = [new_id("image", self.clock()) for _ in names]
        with self.app.app_context(), transaction(self.account.org_id, self.mode) as session:
            for asset_id, name in zip(ids, names, strict=True):
                asset = make_asset(asset_id, size=SIZE, uploaded_at=self.clock())
                assets.add(session, asset, Label(name))
                _reserve(session)
                trash.put_one(session, A_KEY, asset_id, self.clock())
        return ids

    @property
    def left(self) -> list[str]:
        with self.app.app_context(), transaction(self.account.org_id, self.mode) as session:
            return list(session.scalars(select(TrashedAsset.id).where(trash.IS_THERE)))

    def restore(self, client: ApiClient, *ids: str, **headers: str) -> Answer:
        query = "" if self.mode == "live" else "?mode=test"
        return client.post(
            f"{self.path}/restore{query}", data={"ids": list(ids)}, headers={**SAME_SITE, **headers}
        )


def _reserve(session: TenantSession) -> None:
    insert_if_absent(session, StorageCounter, bytes=0)
    storage_quota.release(session, -SIZE)


@pytest.fixture
def bin(app: Flask, acme: Account, clock: Clock) -> Trash:
    return Trash(app, acme, clock)


@pytest.fixture
def member(acme: Account, sign_in: SignIn) -> ApiClient:
    return sign_in(acme, Role.MEMBER)


def test_it_shows_what_was_deleted_and_when_it_goes_for_good(
    bin: Trash, acme: Account, sign_in: SignIn, clock: Clock
) -> None:
    bin.fill("first", "<b>second</b>")
    clock.advance(days=17, hours=1)
    bin.fill("third")
    shown = sign_in(acme, Role.VIEWER).get(bin.path)
    assert "3 images, 3 MB" in shown.text
    assert re.findall(r">(in \d+ days)</time>", shown.text) == [
        "in 30 days", "in 13 days", "in 13 days",
    ]  # fmt: skip
    assert "&lt;b&gt;second&lt;/b&gt;" in shown.text
    assert "<b>second" not in shown.text
    assert f"by <bdi>{A_KEY.id}</bdi>" in shown.text
    assert text_of(shown).index("third") < text_of(shown).index("first")
    clock.advance(days=29, hours=12)
    assert ">within a day</time>" in sign_in(acme, Role.VIEWER).get(bin.path).text


def test_images_are_restored_by_form_one_or_many(bin: Trash, member: ApiClient) -> None:
    ids = bin.fill("a", "b", "c", "d")
    answer = bin.restore(member, ids[0], ids[1], "nobody", "no\0body")
    assert (answer.status_code, answer.headers["Location"]) == (303, bin.path)
    assert "2 images restored." in member.get(bin.path).text
    one = member.post(f"{bin.path}/restore", data={"ids": ids, "only": ids[2]}, headers=SAME_SITE)
    assert one.status_code == 303
    assert "1 image restored." in member.get(bin.path).text
    assert bin.left == [ids[3]]
    bin.restore(member, ids[2])
    assert "not in the trash any more" in member.get(bin.path).text


def test_a_script_gets_the_ids_that_came_back(bin: Trash, member: ApiClient) -> None:
    ids = bin.fill("a", "b")
    answer = bin.restore(member, *ids, "nobody", Accept="application/json")
    assert (answer.status_code, sorted(answer.json["restored"])) == (200, sorted(ids))
    for sent in ([], [f"image_{number}" for number in range(1001)]):
        refused = bin.restore(member, *sent, Accept="application/json")
        assert (refused.status_code, refused.json["code"]) == (400, "bad_request")
    assert "Choose the images" in bin.restore(member).text


def test_emptying_takes_what_was_shown(
    app: Flask, bin: Trash, acme: Account, sign_in: SignIn, clock: Clock
) -> None:
    admin = sign_in(acme, Role.ADMIN)
    bin.fill("a", "b")
    asked = admin.get(f"{bin.path}?confirm=empty")
    assert "<b>2 images</b> (2 MB) will be deleted for good" in asked.text
    found = re.search(r'name="until" value="([^"]+)"', asked.text)
    assert found
    (later,) = bin.fill("later")
    for _ in range(2):
        answer = post(admin, f"{bin.path}/empty", until=found[1])
        assert (answer.status_code, answer.headers["Location"]) == (303, bin.path)
    assert bin.left == [later]
    shown = admin.get(bin.path).text
    assert "2 images deleted for good. 2 MB are free again." in shown
    assert "The trash is empty already." in shown
    assert "1 image, 1 MB" in shown
    with app.app_context(), transaction(acme.org_id) as session:
        actions = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "trash.emptied")
        ).all()
    assert [(one.actor_id, one.after["images"]) for one in actions] == [(admin.user_id, 2)]


@pytest.mark.parametrize("until", ["", "soon", "2026-11-20T12:00:00+99:00", "9999-99-99"])
def test_a_form_that_is_not_whole_empties_nothing(
    bin: Trash, acme: Account, sign_in: SignIn, until: str
) -> None:
    ids = bin.fill("a")
    assert post(sign_in(acme, Role.ADMIN), f"{bin.path}/empty", until=until).status_code == 400
    assert bin.left == ids


def test_who_may_not_sees_no_control(bin: Trash, acme: Account, sign_in: SignIn) -> None:
    ids = bin.fill("a")
    controls = {Role.VIEWER: (False, False), Role.MEMBER: (True, False), Role.ADMIN: (True, True)}
    for role, (restores, empties) in controls.items():
        client = sign_in(acme, role)
        text = client.get(f"{bin.path}?confirm=empty").text
        assert "1 image, 1 MB" in text
        assert ('name="ids"' in text, "Restore" in text) == (restores, restores), role
        assert ("Empty trash" in text, f"{bin.path}/empty" in text) == (empties, empties), role
    viewer, member = sign_in(acme, Role.VIEWER), sign_in(acme, Role.MEMBER)
    assert bin.restore(viewer, *ids).status_code == 403
    assert post(member, f"{bin.path}/empty", until="2030-01-01T00:00:00").status_code == 403
    assert bin.left == ids


def test_test_data_has_a_trash_of_its_own(
    app: Flask, bin: Trash, acme: Account, clock: Clock, member: ApiClient
) -> None:
    tried = Trash(app, acme, clock, "test")
    (live,), (test,) = bin.fill("of live keys"), tried.fill("of test keys")
    shown = member.get(f"{bin.path}?mode=test").text
    assert ("of test keys" in shown, "of live keys" in shown) == (True, False)
    assert f'action="{bin.path}/restore?mode=test"' in shown
    answer = tried.restore(member, live, test)
    assert answer.headers["Location"] == f"{bin.path}?mode=test"
    assert (bin.left, tried.left) == ([live], [])


def test_another_organization_s_images_stay_where_they_are(
    app: Flask, bin: Trash, globex: Account, clock: Clock, member: ApiClient
) -> None:
    theirs = Trash(app, globex, clock)
    ids = theirs.fill("secret plan")
    assert "not in the trash any more" not in member.get(bin.path).text
    assert bin.restore(member, *ids).status_code == 303
    assert theirs.left == ids
    assert "secret plan" not in member.get(bin.path).text
    assert theirs.restore(member, *ids).status_code == 404


def test_pages_lead_on(bin: Trash, member: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE_SIZE", 2)
    bin.fill("one", "two", "three")
    first = member.get(bin.path)
    found = re.search(r'href="([^"]+)" rel="next"', text_of(first))
    assert found
    second = text_of(member.get(found[1]))
    assert "Restore one" in second
    assert "Restore two" not in second
    assert f'href="{bin.path}" rel="prev"' in second
    for cursor in ("x", "1.", "99999999999999999999.image_a", "1.no%00body", "1.é"):
        assert "Restore three" in member.get(f"{bin.path}?before={cursor}").text
    beyond = member.get(f"{bin.path}?before=1.image_a")
    assert "No more images here" in beyond.text


def test_an_empty_trash_says_what_it_is_for(bin: Trash, member: ApiClient) -> None:
    shown = text_of(member.get(bin.path))
    assert "The trash is empty" in shown
    assert "curl -X DELETE" in shown
    assert timedelta(days=30) == trash.RETENTION
