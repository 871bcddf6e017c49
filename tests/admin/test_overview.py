"""The console's first page."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.extensions import transaction
from app.models import (
    Announcement,
    Mail,
    Mode,
    Organization,
    RequestEntry,
    StripeEvent,
    new_id,
)
from app.services.staff.plan_values import form_of
from app.services.staff.plans import state
from app.services.usage import days
from tests.actors import TEST
from tests.client import ApiClient
from tests.clock import NOON, Clock
from tests.conftest import Account
from tests.databases import on_both_databases, plan_of, statements
from tests.exports import add_export
from tests.plans import add_plan
from tests.staff import act

FIGURE = re.compile(r'class="label">([^<]+)</span>\s*<b>(?:<a href="([^"]+)">)?([\d,–]+)<')
WHOLE = re.compile(r"Seq Scan|SCAN \w+$")
"""A table that is read from its beginning to its end."""
LINKS = {
    "Flagged organizations": "/admin/organizations?flagged=1",
    "Suspended": "/admin/organizations?state=suspended",
    "Payments overdue": "/admin/organizations?state=overdue",
    "Deletions due": "/admin/organizations?state=deleting",
    "Stripe events": "/admin/stripe?state=waiting",
}


def figures(staff: ApiClient) -> dict[str, int]:
    redis = staff.application.extensions["lightwell"].redis
    for key in redis.scan_iter("staff:images:*"):
        redis.delete(key)
    page = staff.get("/admin")
    assert page.status_code == 200
    found = {label: (link, number) for label, link, number in FIGURE.findall(page.text)}
    assert {label: found[label][0] for label in LINKS} == LINKS
    return {label: int(number.replace(",", "")) for label, (_, number) in found.items()}


@on_both_databases
def test_what_waits_is_counted(app: Flask, staff: ApiClient, acme: Account, clock: Clock) -> None:
    clock.advance(hours=1)  # what other tests asked to be deleted in a week is all due
    before = figures(staff)
    marker = new_id("req", NOON)
    with app.app_context():
        with transaction() as session:
            own = session.get_one(Organization, acme.org_id)
            own.flag, own.suspended_at, own.plan_lapses_at = "look", NOON, NOON
            own.delete_at = NOON + timedelta(days=6)
            session.add(
                StripeEvent(
                    id=f"evt_{marker}", type="charge.disputed", created_at=NOON, received_at=NOON,
                    attempts=2, outcome=f"<b>{marker}",
                )
            )  # fmt: skip
            session.add(
                Mail(
                    id=new_id("mail", NOON), recipient=f"{marker}@example.com", subject="Hello",
                    created_at=NOON, attempts=9, error="550 no such user",
                )
            )  # fmt: skip
        with transaction(acme.org_id, Mode.LIVE) as session:
            session.add(
                RequestEntry(
                    id=marker, key_id="key_1", method="POST", route="/compress/batch", status=500,
                    mode="live", milliseconds=1, code="internal_error", created_at=NOON,
                )
            )  # fmt: skip
            days.add(session, NOON.date(), Mode.LIVE, "compress", TEST, 17)
            days.add(session, NOON.date(), Mode.TEST, "compress", TEST, 1000)
            days.add(session, NOON.date() - timedelta(days=7), Mode.LIVE, "image", TEST, 4)
    after = figures(staff)
    grown = {
        label: after[label] - before[label] for label in after if after[label] != before[label]
    }
    assert grown == {
        "Flagged organizations": 1, "Suspended": 1, "Payments overdue": 1, "Deletions due": 1,
        "Stripe events": 1, "Lost mails": 1, "Live images": 17,
    }  # fmt: skip
    page = staff.get("/admin").text
    for text in (f"500, {marker}", f"&lt;b&gt;{marker}", f"Mail to {marker}@example.com"):
        assert text in page


def test_what_holds_now_and_what_staff_did_last(app: Flask, staff: ApiClient) -> None:
    before = figures(staff)["Announcements now"]
    with app.app_context(), transaction() as session:
        from_now = NOON - timedelta(minutes=1)
        session.add(
            Announcement(
                id=new_id("ann", NOON), kind="banner", text="Hello", created_by="user_1",
                created_at=from_now, starts_at=from_now, ends_at=NOON + timedelta(minutes=1),
            )
        )  # fmt: skip
        plan = add_plan(session)
    assert figures(staff)["Announcements now"] == before + 1
    fields = form_of(state(plan)) | {"version": "0", "batch_files": "3"}
    assert act(staff, f"/admin/plans/{plan.code}/edit", **fields).status_code == 303
    page = staff.get("/admin").text
    assert "Plan changed" in page
    assert plan.code in page


@on_both_databases
def test_each_figure_is_counted_through_an_index(app: Flask, staff: ApiClient) -> None:
    with statements(app) as sent:
        figures(staff)
    counts = [one for one in sent if "count(*)" in one.text or "sum(" in one.text]
    assert len(counts) >= 9
    for one in counts:
        plan = plan_of(app, one)
        if "announcements" not in one.text:  # a handful of rows
            whole = [line for line in plan.splitlines() if WHOLE.search(line)]
            assert not whole, f"{one.text}\n{plan}"


def test_the_page_stands_without_redis(
    app: Flask, staff: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = app.extensions["lightwell"]
    gone = Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0))
    monkeypatch.setitem(app.extensions, "lightwell", replace(container, redis=gone))
    page = staff.get("/admin")
    assert page.status_code == 200
    assert "Redis does not answer" in page.text


def test_an_export_that_waits_is_late_after_ten_minutes(
    app: Flask, staff: ApiClient, acme: Account
) -> None:
    before = figures(staff)["Late exports"]
    for minutes, more in ((9, 0), (11, 1)):
        add_export(app, acme, created_at=NOON - timedelta(minutes=minutes))
        assert figures(staff)["Late exports"] == before + more
