"""The audit log: what it says, filters, pages, the CSV file."""

import csv
from datetime import timedelta
from io import StringIO

import pytest
from flask import Flask

from app.extensions import transaction
from app.models import Actor, ActorKind, ApiKey, Organization, Role, StaffRole, User
from app.services import audit
from app.services.accounts import activity
from tests.client import ApiClient
from tests.clock import NOON, Clock
from tests.conftest import Account, SignIn
from tests.databases import on_both_databases
from tests.forms import post, text_of

SCRIPT = "<script>alert(1)</script>"
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1",
            "\uff1d1+1", "\u3000@SUM(A1)")  # fmt: skip


@pytest.fixture
def admin(acme: Account, sign_in: SignIn) -> ApiClient:
    return sign_in(acme, Role.ADMIN)


def record(
    app: Flask, account: Account, actor: Actor, action: str, after: object, clock: Clock
) -> None:
    with app.app_context(), transaction(account.org_id) as session:
        audit.record(session, actor, action, {}, {"name": after}, clock())


def somebody(user_id: str) -> Actor:
    return Actor(ActorKind.USER, user_id, "192.0.2.7")


def rows(page: str) -> int:
    return page.count('<th scope="row">')


def table_of(text: str) -> list[dict[str, str]]:
    assert text.startswith("\ufeff")
    return list(csv.DictReader(StringIO(text[1:], newline="")))


def test_it_says_who_did_what_from_where_and_when(
    app: Flask, acme: Account, admin: ApiClient, sign_in: SignIn, clock: Clock
) -> None:
    owner = sign_in(acme, Role.OWNER)
    with app.app_context(), transaction() as session:
        session.get_one(User, owner.user_id).name = SCRIPT
        session.get_one(Organization, acme.org_id).time_zone = "Asia/Tokyo"
        (key, *_) = session.query(ApiKey).filter_by(org_id=acme.org_id)
    changed = {"timeZone": "Asia/Tokyo", "quality": "71", "format": ""}
    clock.set(NOON + timedelta(hours=10))
    post(owner, f"{acme.home}/settings/preferences", **changed)
    record(app, acme, Actor(ActorKind.KEY, key.id), "key.rotated", "key_new", clock)
    record(app, acme, Actor(ActorKind.USER, "user_gone"), "key.rotated", ["a", "b"], clock)
    answer = admin.get(f"{acme.home}/activity")
    page = text_of(answer)
    assert SCRIPT not in answer.text
    assert SCRIPT in page
    for words in (
        "Settings changed",
        "Default quality",
        "<del>80</del>",
        "<ins>71</ins>",
        "127.0.0.1",
        "21 Nov 2026, 07:00",
        key.name,
        "user_gone",
        "a, b",
        "Lightwell (test)",
        "Plan granted",
    ):
        assert words in page, words


@on_both_databases
def test_filters_and_pages(
    app: Flask, acme: Account, admin: ApiClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days are those of the organization: 15:00 UTC is the next day in Tokyo."""
    with app.app_context(), transaction() as session:
        session.get_one(Organization, acme.org_id).time_zone = "Asia/Tokyo"
    record(app, acme, somebody("user_a"), "thing.made", "noon", clock)
    clock.set(NOON.replace(hour=15))
    record(app, acme, somebody("user_b"), "thing.made", "late", clock)
    record(app, acme, somebody("user_b"), "thing.lost", "later", clock)

    def shown(query: str) -> list[str]:
        page = admin.get(f"{acme.home}/activity?{query}").text
        return [word for word in ("noon", "late", "later") if f"<ins>{word}</ins>" in page]

    assert shown("") == ["noon", "late", "later"]
    assert shown("actor=user_b") == ["late", "later"]
    assert shown("action=thing.made") == ["noon", "late"]
    assert shown("actor=user_b&action=thing.made") == ["late"]
    assert shown("until=2026-11-20") == ["noon"]
    assert shown("since=2026-11-21") == ["late", "later"]
    assert shown("since=2026-11-20&until=2026-11-20") == ["noon"]
    assert shown("actor=nobody") == []
    for nonsense in ("since=x", "until=9999-12-31", "since=0001-01-01", "actor=%00"):
        assert shown(nonsense) == ["noon", "late", "later"], nonsense
    monkeypatch.setattr(activity, "PAGE_SIZE", 2)
    monkeypatch.setattr(activity.page, "__defaults__", ("", 2))
    first = admin.get(f"{acme.home}/activity?actor=user_b&action=").text
    assert rows(first) == 2
    assert "before=" not in first
    first = admin.get(f"{acme.home}/activity").text
    cursor = first.partition("before=")[2].partition('"')[0]
    assert rows(first) == 2
    assert shown(f"before={cursor}") == ["noon"]
    assert shown("before=%00%FF") in ([], ["late", "later"])


def test_the_csv_file_holds_all_that_the_filter_leaves(
    app: Flask, acme: Account, admin: ApiClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "CSV_BATCH_SIZE", 2)
    for number in range(5):
        record(app, acme, somebody("user_a"), "thing.made", number, clock)
    record(app, acme, somebody("user_b"), "thing.made", "other", clock)
    answer = admin.get(f"{acme.home}/activity.csv?actor=user_a")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == (
        f'attachment; filename="activity-{acme.slug}.csv"'
    )
    lines = table_of(answer.get_data(as_text=True))
    assert [line["After"] for line in lines] == [f'{{"name": {n}}}' for n in (4, 3, 2, 1, 0)]
    assert {line["Address"] for line in lines} == {"192.0.2.7"}
    assert lines[0]["Time"].startswith("2026-11-20T12:00:00")


@pytest.mark.parametrize("name", FORMULAS)
def test_no_cell_is_a_formula(
    app: Flask, acme: Account, admin: ApiClient, clock: Clock, name: str
) -> None:
    with app.app_context(), transaction() as session:
        session.get_one(User, admin.user_id).name = name
    record(app, acme, somebody(admin.user_id), "thing.made", name, clock)
    answer = admin.get(f"{acme.home}/activity.csv?actor={admin.user_id}")
    (line,) = table_of(answer.get_data(as_text=True))
    assert line["Who"] == f"'{name}"
    assert all(not value.startswith(("=", "+", "-", "@", "\t", "\r")) for value in line.values())


def test_the_log_of_another_organization_is_not_shown(
    app: Flask, acme: Account, globex: Account, admin: ApiClient, clock: Clock
) -> None:
    record(app, globex, somebody("user_a"), "thing.made", "theirs", clock)
    assert "theirs" not in admin.get(f"{acme.home}/activity").text
    assert "theirs" not in admin.get(f"{acme.home}/activity.csv").text


@on_both_databases
def test_staff_are_named_as_such_and_are_one(
    app: Flask, acme: Account, admin: ApiClient, sign_in: SignIn, clock: Clock
) -> None:
    """Customers see neither which person of ours it was, nor where they sat."""
    people = [sign_in(acme, staff_role=StaffRole.ADMIN) for _ in range(2)]
    for person in people:
        actor = Actor(ActorKind.STAFF, person.user_id, "198.51.100.77")
        record(app, acme, actor, "limit.raised", person.user_id[-3:], clock)
    record(app, acme, somebody("user_gone"), "key.rotated", "a", clock)
    page = text_of(admin.get(f"{acme.home}/activity?actor=staff"))
    assert rows(page) == 2
    assert page.count('<option value="staff" selected>Lightwell staff</option>') == 1
    for shown in (page, admin.get(f"{acme.home}/activity.csv").text):
        assert "Lightwell staff" in shown
        assert "198.51.100.77" not in shown
        for person in people:
            assert person.user_id not in shown
            assert "member-" not in shown  # as their addresses begin
