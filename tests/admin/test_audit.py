"""The staff's log as staff read it."""

import csv
import re
from io import StringIO

import pytest
from flask import Flask

from app.extensions import transaction
from app.models import Actor, ActorKind, StaffEntry
from app.services import staff_log
from app.services.staff_log import Acting, Verdict
from tests.admin.people import make_person
from tests.client import ApiClient
from tests.clock import Clock
from tests.conftest import Account
from tests.databases import on_both_databases
from tests.staff import act

SCRIPT = "<script>alert(1)</script>"


def write(app: Flask, client: ApiClient, clock: Clock, *actions: str, **values: object) -> None:
    """Entries of the client's person."""
    who = Acting(Actor(ActorKind.STAFF, client.user_id, "203.0.113.7"), SCRIPT, "=1+1")
    with app.app_context(), transaction() as session:
        for action in actions:
            staff_log.record(session, who, action, clock(), **values)  # type: ignore[arg-type]


def numbers(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'th scope="row"><a href="/admin/audit/(\d+)', page)]


@on_both_databases
def test_it_is_read_newest_first_and_page_by_page(
    app: Flask, staff: ApiClient, clock: Clock
) -> None:
    write(app, staff, clock, *(f"thing.done_{number}" for number in range(120)))
    seen: list[int] = []
    path = f"/admin/audit?who={staff.user_id}"
    for size in (50, 50, 20):
        page = staff.get(path).text
        assert len(numbers(page)) == size
        seen += numbers(page)
        following = re.search(r'href="([^"]+)" rel="next"', page)
        path = following[1].replace("&amp;", "&") if following else ""
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 120
    assert not path


@on_both_databases
def test_filters(app: Flask, staff: ApiClient, acme: Account, clock: Clock) -> None:
    write(app, staff, clock, "thing.one", "thing.two")
    write(app, staff, clock, "thing.one", org_id=acme.org_id)
    clock.advance(days=1, hours=-1)
    write(app, staff, clock, "thing.three")
    today, tomorrow = "2026-11-20", "2026-11-21"
    own = f"/admin/audit?who={staff.user_id}"
    clock.advance(days=-1, hours=1)
    for query, found in (
        ("", 4), ("&action=thing.one", 2), (f"&org={acme.org_id}", 1), (f"&until={today}", 3),
        (f"&since={tomorrow}", 1), (f"&since={today}&until={tomorrow}", 4), ("&action=none", 0),
        ("&since=yesterday", 4), ("&org=%00", 4), ("&before=9999999999999", 4), ("&before=x", 4),
    ):  # fmt: skip
        page = staff.get(own + query)
        assert page.status_code == 200
        assert len(numbers(page.text)) == found, query


def test_an_entry_shows_before_and_after_and_hides_nothing(
    app: Flask, staff: ApiClient, acme: Account, clock: Clock
) -> None:
    write(
        app, staff, clock, "organization.renamed", org_id=acme.org_id, subject=SCRIPT,
        before={"name": "old", "grantedUntil": None},
        after={"name": SCRIPT, "grantedUntil": clock()},
    )  # fmt: skip
    (number,) = numbers(staff.get(f"/admin/audit?who={staff.user_id}").text)
    page = staff.get(f"/admin/audit/{number}").text
    assert SCRIPT not in page
    for words in ("Granted until", "20 Nov 2026, 12:00", "old", "203.0.113.7", acme.org_id, "=1+1"):
        assert words in page, words
    for path in ("/admin/audit/0", "/admin/audit/2147483647", "/admin/audit/99999999999999999999"):
        assert staff.get(path).status_code == 404


def test_the_file_has_all_and_no_formula(app: Flask, staff: ApiClient, clock: Clock) -> None:
    write(app, staff, clock, *["thing.done"] * 501, subject="@SUM(A1)", after={"name": "=1+1"})
    text = staff.get(f"/admin/audit.csv?who={staff.user_id}&action=thing.done").text
    rows = list(csv.DictReader(StringIO(text.removeprefix("\ufeff"), newline="")))
    assert len(rows) == 501
    assert {row["Reason"] for row in rows} == {"'=1+1"}
    assert {row["Subject"] for row in rows} == {"'@SUM(A1)"}
    assert rows[0]["After"] == '{"name": "=1+1"}'


@on_both_databases
def test_whether_it_is_whole_is_told(
    app: Flask, staff: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert act(staff, f"/admin/users/{make_person(app).user_id}/sessions/end").status_code == 303
    with app.app_context(), transaction() as session:
        entries = session.query(StaffEntry).count()
    assert f"The log is whole: {entries:,} entr" in staff.get("/admin/audit/check").text
    assert "The log is whole" not in staff.get("/admin/audit").text
    monkeypatch.setattr(staff_log, "verify", lambda _: Verdict(3, "Entry 4 was changed."))
    page = staff.get("/admin/audit/check").text
    assert "The log is not whole. Entry 4 was changed." in page
    assert 'role="alert"' in page
