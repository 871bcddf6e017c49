"""Plans in the console: what they say, whom a change reaches, and when it holds."""

import csv
import re
from collections.abc import Callable
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from app.extensions import transaction
from app.models import Organization, Plan, PlanVersion, StorageCounter, UsageCounter
from app.services.billing import plans as plans_of_organizations
from app.services.staff.plan_values import form_of
from app.services.staff.plans import state
from tests.actors import TEST
from tests.admin.conftest import StaffMaker
from tests.client import ApiClient, bearer
from tests.clock import NOON, Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases
from tests.plans import add_plan
from tests.staff import REASON, act, log_of

HOME = "/admin/plans"
PERIOD = NOON.date().replace(day=1)
HOSTILE = "=<script>alert(1)</script>"


@pytest.fixture
def plan(app: Flask) -> Plan:
    """A plan that nobody is on."""
    with app.app_context(), transaction() as session:
        return add_plan(session, monthly_images=1000, storage_mb=10)


@pytest.fixture
def join(app: Flask, plan: Plan) -> Callable[..., None]:
    """Put an account on the plan, with what it has used and stored."""

    def move(account: Account, used: int = 0, stored: int = 0, **values: object) -> None:
        with app.app_context(), transaction(account.org_id) as session:
            own = plans_of_organizations.grant(session, plan.code, TEST, NOON)
            session.add(UsageCounter(period=PERIOD, used=used, reserved=0))
            session.add(StorageCounter(bytes=stored))
            for name, value in values.items():
                setattr(own, name, value)

    return move


def form(plan: Plan, version: int = 0, **changes: str) -> dict[str, str]:
    return form_of(state(plan)) | {"version": str(version)} | changes


def now_of(app: Flask, plan: Plan) -> Plan:
    with app.app_context(), transaction() as session:
        return session.get_one(Plan, plan.code)


def numbers_of(page: str) -> dict[str, str]:
    found = re.findall(r'class="label">([^<]+)</span>\s*<b>([\d,]+)</b>', page)
    return dict(found)


def test_the_list_counts_the_organizations_of_the_plan_that_holds(
    staff: ApiClient, plan: Plan, join: Callable[..., None], make_account: AccountMaker
) -> None:
    join(make_account())
    join(make_account(), granted_until=NOON)  # over: it counts as FREE
    row = re.search(rf'/admin/organizations\?plan={plan.code}">(\d+)<', staff.get(HOME).text)
    assert row
    assert row[1] == "1"


@on_both_databases
def test_a_preview_says_who_would_be_over_and_changes_nothing(
    app: Flask, staff: ApiClient, plan: Plan, join: Callable[..., None], make_account: AccountMaker
) -> None:
    fits, over, full, raised, ended = (make_account(name) for name in "abcde")
    join(fits, used=100, stored=2 << 20)
    join(over, used=101, name=HOSTILE)
    join(full, used=5, stored=(2 << 20) + 1)
    join(raised, used=101, raised_limits={"monthly_images": 101})
    join(ended, used=101, raised_limits={"monthly_images": 500}, raised_until=NOON)
    values = form(plan, monthly_images="100", storage_mb="2")
    page = staff.get(f"{HOME}/{plan.code}/edit", query_string=values)
    assert page.status_code == 200
    assert numbers_of(page.text) == {
        "On this plan": "5", "Over its images": "2", "Over its storage": "1",
    }  # fmt: skip
    linked = set(re.findall(r'href="/admin/organizations/(org_\w+)"', page.text))
    assert linked == {over.org_id, full.org_id, ended.org_id}
    assert "<script>alert" not in page.text
    assert now_of(app, plan).monthly_images == 1000
    assert not log_of(app, staff)

    file = staff.get(f"{HOME}/{plan.code}/organizations.csv", query_string=values)
    rows = {row["Id"]: row for row in csv.DictReader(StringIO(file.text.removeprefix("\ufeff")))}
    assert set(rows) == {one.org_id for one in (fits, over, full, raised, ended)}
    assert rows[over.org_id]["Name"] == f"'{HOSTILE}"
    assert [rows[one.org_id]["Over the images"] for one in (fits, over, raised, ended)] == [
        "no", "yes", "no", "yes",
    ]  # fmt: skip
    assert rows[full.org_id]["Over the storage"] == "yes"


@on_both_databases
def test_a_change_holds_from_the_next_request_on_and_is_a_version(
    app: Flask, staff: ApiClient, client: ApiClient, plan: Plan, acme: Account,
    join: Callable[..., None],
) -> None:  # fmt: skip
    join(acme)

    def limits() -> str:
        return client.get("/usage", headers=bearer(acme.key)).text

    before = limits()
    path = f"{HOME}/{plan.code}/edit"
    answer = act(staff, path, **form(plan, monthly_images="1234", name="Acme's own"))
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{HOME}/{plan.code}")
    assert "1000" in before
    assert limits() == before.replace("1000", "1234")

    (entry,) = log_of(app, staff)
    assert (entry.action, entry.subject, entry.reason) == ("plan.changed", plan.code, REASON)
    assert entry.before == {"name": None, "monthly_images": 1000}
    assert entry.after == {"name": "Acme's own", "monthly_images": 1234}
    with app.app_context(), transaction() as session:
        rows = session.query(PlanVersion).filter_by(plan_code=plan.code).all()
        first, second = sorted(rows, key=lambda one: one.number)
    assert (first.number, first.values) == (1, state(plan))
    assert (second.number, second.email) == (2, entry.email)
    assert second.values == state(plan) | {"name": "Acme's own", "monthly_images": 1234}
    page = staff.get(f"{HOME}/{plan.code}").text
    for text in (REASON, "1,234", "Acme&#39;s own plan", entry.email):
        assert text in page


def test_who_comes_second_is_told_that_the_plan_has_changed(
    app: Flask, staff: ApiClient, make_staff: StaffMaker, plan: Plan
) -> None:
    path, other = f"{HOME}/{plan.code}/edit", make_staff()
    assert act(staff, path, **form(plan, batch_files="5")).status_code == 303
    late = act(other, path, **form(plan, batch_files="6"))
    assert late.status_code == 409
    assert "meanwhile" in late.text
    assert not log_of(app, other)
    assert now_of(app, plan).batch_files == 5
    assert 'name="version" value="2"' in other.get(path).text
    assert act(other, path, **form(plan, version=2, batch_files="6")).status_code == 303
    same = act(other, path, **form(plan, version=3, batch_files="6"))
    assert same.status_code == 400
    assert len(log_of(app, other)) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("monthly_images", "0"), ("monthly_images", str(2**31)), ("monthly_images", "-1"),
        ("monthly_images", "²"), ("requests_per_second", ""), ("requests_per_second", "10001"),
        ("storage_mb", "many"), ("file_mb", "99999"), ("file_mb", ""), ("batch_files", "0"),
        ("price_cents", "1.234"), ("price_cents", "0"), ("price_cents", "."), ("name", "x" * 65),
        ("tagline", "x" * 161), ("price_text", "x" * 81), ("version", "x"), ("version", ""),
        ("monthly_images", "9" * 5000),
    ],
)  # fmt: skip
def test_values_that_no_plan_can_have_come_back_at_their_fields(
    app: Flask, staff: ApiClient, plan: Plan, field: str, value: str
) -> None:
    values, path = form(plan, batch_files="7") | {field: value}, f"{HOME}/{plan.code}/edit"
    for answer in (staff.get(path, query_string=values), act(staff, path, **values)):
        assert answer.status_code == 400
        assert 'role="alert"' in answer.text
    assert state(now_of(app, plan)) == state(plan)
    assert not log_of(app, staff)


@pytest.mark.parametrize("changes", [{"price_cents": "5"}, {"price_cents": ""}, {"listed": ""}])
def test_free_stays_free_and_listed(app: Flask, staff: ApiClient, changes: dict[str, str]) -> None:
    with app.app_context(), transaction() as session:
        free = session.get_one(Plan, "FREE")
    assert act(staff, f"{HOME}/FREE/edit", **(form(free) | changes)).status_code == 400
    assert state(now_of(app, free)) == state(free)


def test_texts_of_a_plan_are_what_customers_read(
    app: Flask, staff: ApiClient, plan: Plan, acme: Account, join: Callable[..., None],
    sign_in: Any,
) -> None:  # fmt: skip
    join(acme)
    texts = {"name": "Kupfer <b>", "tagline": "Made for you", "price_text": "$7 an hour"}
    changed = act(staff, f"{HOME}/{plan.code}/edit", **(form(plan, listed="1") | texts))
    assert changed.status_code == 303
    owner = sign_in(acme)
    for path in (f"{acme.home}/billing", "/plans", "/"):
        page = owner.get(path).text
        for text in ("Kupfer &lt;b&gt;", "Made for you"):
            assert text in page, path
    assert "$7 an hour" in owner.get("/plans").text
    off = form(plan, version=2, listed="") | texts
    assert act(staff, f"{HOME}/{plan.code}/edit", **off).status_code == 303
    assert "Made for you" not in owner.get("/plans").text


@on_both_databases
def test_a_plan_is_made_for_one_customer(
    app: Flask, staff: ApiClient, plan: Plan, acme: Account
) -> None:
    code = f"N{uuid4().hex[:8]}".upper()
    values = form(plan, monthly_images="", price_cents="") | {"above": plan.code}
    values |= {"template": plan.code, "code": code.lower(), "org_id": acme.org_id}
    answer = act(staff, f"{HOME}/new", **values)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{HOME}/{code}")
    with app.app_context(), transaction() as session:
        made = session.get_one(Plan, code)
        organization = session.get_one(Organization, acme.org_id)
        ranks = plans_of_organizations.plan_ranks(session)
    assert (made.listed, made.monthly_images, made.storage_mb) == (False, None, 10)
    assert organization.plan_code == organization.granted_plan_code == code
    assert ranks.index(code) > ranks.index(plan.code)
    assert ranks.index("FREE") < ranks.index("TEAM") < ranks.index("BUSINESS")
    (entry,) = log_of(app, staff)
    assert (entry.action, entry.subject, entry.org_id) == ("plan.made", code, acme.org_id)

    again = act(staff, f"{HOME}/new", **values)
    assert again.status_code == 400
    assert "a plan with this code" in again.text
    for wrong in ({"org_id": "org_0"}, {"code": "A B"}, {"above": "NONE"}, {"org_id": "a\0b"}):
        refusal = act(staff, f"{HOME}/new", **values | {"code": f"{code}X"} | wrong)
        assert refusal.status_code == 400
        assert f'aria-describedby="field-{next(iter(wrong))}-error' in refusal.text
    assert len(log_of(app, staff)) == 1


def test_a_plan_that_is_not_there(staff: ApiClient, clock: Clock) -> None:
    for code in ("NOTHING", "x" * 300, "%00", "team"):
        for page in ("", "/edit", "/organizations.csv"):
            assert staff.get(f"{HOME}/{code}{page}").status_code == 404
