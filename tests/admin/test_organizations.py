"""The list of organizations, and the pages of one."""

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import update

from app.admin.organization import TABS
from app.extensions import transaction
from app.models import (
    Actor,
    ActorKind,
    ApiKey,
    BillingAccount,
    DataExport,
    DataExportStatus,
    ErrorDay,
    Mode,
    Organization,
    RequestEntry,
    StripeEvent,
    UsageCounter,
    UsageEntry,
    UsageNotice,
    new_id,
)
from app.services import audit, staff_log
from app.services.library import assets
from app.services.library.assets import Label
from app.services.staff import organization_query, organizations
from app.services.staff_log import Acting
from app.services.usage import days
from tests.client import ApiClient
from tests.clock import NOON
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases, plan_of, statements
from tests.exports import add_export
from tests.library import make_asset
from tests.team import add_invitation, add_member

HOSTILE = "<script>alert(1)</script>\"'=1+1"
LIST = "/admin/organizations"
ROW = re.compile(r'href="/admin/organizations/(org_\w+)"')


@pytest.fixture
def change(app: Flask) -> Callable[..., None]:
    """Change columns of an account's organization."""

    def make(account: Account, **values: object) -> None:
        with app.app_context(), transaction() as session:
            organization = session.get_one(Organization, account.org_id)
            for name, value in values.items():
                setattr(organization, name, value)

    return make


def home_of(account: Account) -> str:
    return f"{LIST}/{account.org_id}"


def listed(staff: ApiClient, query: str = "") -> list[str]:
    page = staff.get(LIST + query)
    assert page.status_code == 200
    return ROW.findall(page.text)


def test_the_list_shows_what_is_known_of_each(
    app: Flask, staff: ApiClient, make_account: AccountMaker, change: Callable[..., None]
) -> None:
    acme = make_account(plan="BUSINESS")
    name = f"Kupfer {uuid4().hex}"
    change(acme, name=name, last_seen_at=NOON, flag="look", suspended_at=NOON, plan_lapses_at=NOON)
    with app.app_context(), transaction(acme.org_id) as session:
        session.add(UsageCounter(period=NOON.date().replace(day=1), used=4321, reserved=0))
    page = staff.get(f"{LIST}?q={name[:12].upper()}").text
    assert ROW.findall(page) == [acme.org_id]
    for text in (name, "Free", "4,321", "0 bytes", "Suspended", "Payment overdue", "Flagged"):
        assert text in page
    change(acme, plan_lapses_at=None)
    assert '<td class="minor">Business</td>' in staff.get(f"{LIST}?q={name}").text


def test_the_newest_come_first_and_pages_follow_each_other(
    staff: ApiClient, make_account: AccountMaker, change: Callable[..., None]
) -> None:
    marker = uuid4().hex
    accounts = [make_account() for _ in range(3)]
    for account in accounts:
        change(account, name=marker)
    ids = [account.org_id for account in accounts]
    assert listed(staff, f"?q={marker}") == sorted(ids, reverse=True)
    assert listed(staff, f"?q={marker}&sort=name&after=nonsense") == sorted(ids)
    assert not listed(staff, f"?q={marker}&plan=TEAM")


def test_pages_have_a_next_and_a_first(
    staff: ApiClient,
    monkeypatch: pytest.MonkeyPatch,
    make_account: AccountMaker,
    change: Callable[..., None],
) -> None:
    monkeypatch.setattr(organizations.page_of, "__defaults__", (None, 2))
    marker, accounts = uuid4().hex, [make_account() for _ in range(3)]
    for account in accounts:
        change(account, name=f"{marker} & co.")
    ids = sorted((account.org_id for account in accounts), reverse=True)
    query = f"?q={marker}+%26&state=active&sort=newest"
    first = staff.get(LIST + query).text
    assert ROW.findall(first) == ids[:2]
    assert 'rel="prev"' not in first
    assert walked(staff, LIST + query, ROW) == ids
    link = re.search(r'href="(\?[^"]+)" rel="next"', first)
    assert link
    second = staff.get(LIST + link[1].replace("&amp;", "&")).text
    assert f'href="{query.replace("&", "&amp;")}" rel="prev"' in second
    assert 'rel="next"' not in second


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("state=suspended", {"suspended_at": NOON}),
        ("state=deleting", {"delete_at": NOON}),
        ("state=overdue", {"plan_lapses_at": NOON}),
        ("state=unconfirmed", {"confirm_by": NOON}),
        ("state=deleted", {"deleted_at": NOON}),
        ("flagged=1", {"flag": "look"}),
        ("plan=TEAM", {"plan_code": "TEAM"}),
    ],
)
def test_filters_find_those_and_no_others(
    staff: ApiClient,
    acme: Account,
    globex: Account,
    change: Callable[..., None],
    query: str,
    values: dict[str, object],
) -> None:
    assert acme.org_id not in listed(staff, f"?{query}")
    change(acme, **values)
    found = listed(staff, f"?{query}")
    assert acme.org_id in found
    assert globex.org_id not in found
    if "TEAM" not in query and "flag" not in query:
        assert acme.org_id not in listed(staff, "?state=active")


def test_the_file_holds_all_that_match_and_runs_nothing(
    staff: ApiClient, make_account: AccountMaker, change: Callable[..., None]
) -> None:
    marker = uuid4().hex
    names = [f"{start}{marker}" for start in ("=", "+", "-", "@", "\t", "x")]
    for name in names:
        change(make_account(plan="TEAM"), name=name, flag=name)
    answer = staff.get(f"{LIST}.csv?plan=TEAM&flagged=1&sort=name")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="organizations.csv"'
    rows = list(csv.DictReader(StringIO(answer.text.removeprefix("\ufeff"))))
    own = {row["Name"]: row for row in rows if marker in row["Name"]}
    assert set(own) == {*(f"'{name}" for name in names[:5]), names[5]}
    assert own[f"'{names[0]}"]["Flag"] == f"'{names[0]}"
    assert own[names[5]]["State"] == "active"
    assert own[names[5]]["Plan"] == "TEAM"
    assert own[names[5]]["Last seen"] == ""


@on_both_databases
def test_odd_queries_are_answered(staff: ApiClient, acme: Account) -> None:
    for query in (
        "q=%00", "q=%F0%9F%98%80", "plan=%00", "plan=" + "x" * 500, "state=x", "sort=x",
        "after=%00", "after=W10", "after=" + "x" * 5000, "q=" + "%C3%84" * 500, "q=%ED%A0%80",
    ):  # fmt: skip
        assert staff.get(f"{LIST}?{query}").status_code == 200, query
    assert staff.get(f"{LIST}.csv?q=%00&state=x").status_code == 200
    for tab in TABS:
        for query in (
            "q=%00&before=%00&code=%00&staff=%00&page=0&mode=x&days=x&errors=x",
            "page=²&before=W10&staff=²&q=%ED%A0%80",
            "page=99999&staff=99999999999&before=" + "x" * 5000,
        ):  # fmt: skip
            assert staff.get(f"{home_of(acme)}{tab}?{query}").status_code == 200, (tab, query)


@on_both_databases
def test_organizations_that_never_were_are_not_there(staff: ApiClient) -> None:
    for tab in TABS:
        for org_id in ("org_unknown", "%00", "x" * 100, "%ED%A0%80"):
            assert staff.get(f"{LIST}/{org_id}{tab}").status_code == 404, (tab, org_id)


def fill(app: Flask, account: Account, text: str) -> None:
    """Something in every list of the organization, each with the text in it."""
    now, system = NOON, Actor(ActorKind.SYSTEM, "tests")
    actor = Actor(ActorKind.STAFF, "user_1", "192.0.2.1")
    add_member(app, account, name=text)
    add_invitation(app, account)
    for mode in Mode:
        image = make_asset(new_id("image", now), name=text, kind="png", size=2048)
        with app.app_context(), transaction(account.org_id, mode) as session:
            assets.add(session, image, Label(image.name))
        add_export(app, account, mode, status="failed", error=text, total=7)
    with app.app_context(), transaction(account.org_id) as session:
        session.change(update(ApiKey).where(ApiKey.org_id == account.org_id).values(name=text))
        organization = session.get_one(Organization, account.org_id)
        organization.name, organization.flag, organization.suspended_reason = text, text, text
        organization.suspended_at = now
        period = now.date().replace(day=1)
        session.add_all([
            UsageCounter(period=period, used=17, reserved=2),
            UsageNotice(period=period, name="plan 80"),
            ErrorDay(day=now.date(), mode=Mode.LIVE, code="rate_limited", requests=5),
            UsageEntry(
                id=new_id("use", now), kind="compress", period=period, state="settled", images=17,
                lease_until=now, created_at=now, actor=system,
            ),
            RequestEntry(
                id=new_id("req", now), key_id="key_1", mode=Mode.LIVE, method="POST",
                route="/compress/batch", status=429, code="rate_limited", milliseconds=12,
                bytes_in=2048, bytes_out=None, created_at=now,
            ),
            DataExport(
                id=new_id("dat", now), status=DataExportStatus.FAILED, attempts=3, error=text,
                created_at=now, actor=system,
            ),
            BillingAccount(
                customer_id=f"cus_{uuid4().hex}", customers=1, subscription_id='sub_1"><b>',
                status="active", plan_code="TEAM", interval="month",
            ),
        ])  # fmt: skip
        session.flush()
        customer = session.get_one(BillingAccount, account.org_id).customer_id
        session.add(
            StripeEvent(
                id=f"evt_{uuid4().hex}", type="invoice.paid", subject=customer, created_at=now,
                received_at=now, attempts=1, outcome=text,
            )
        )  # fmt: skip
        days.add(session, now.date(), Mode.LIVE, "compress", actor, 17)
        audit.record(session, actor, "organization.renamed", {"name": "Acme"}, {"name": text}, now)
        who = Acting(actor, "boss@example.com", text)
        flag = {"flag": text}
        staff_log.record(session, who, "flag.set", now, org_id=account.org_id, after=flag)


@on_both_databases
def test_each_page_shows_its_own(app: Flask, staff: ApiClient, acme: Account) -> None:
    text = f"note-{uuid4().hex}"
    fill(app, acme, text)
    expected = {
        "": ("17", "without limit", text, "plan 80 %", acme.email),
        "/members": (acme.email, text, "Owner", "Invitations"),
        "/keys": (text, "psx_…", "test_…", ">read<", ">write<"),
        "/usage": ("Compress", "17 live images", "rate_limited", "November 2026"),
        "/ledger": ("Compress", "Settled", "17"),
        "/requests": ("/compress/batch", "429", "rate_limited", "2 KB", "streamed"),
        "/images": (text, "PNG", "2 KB", "image_"),
        "/exports": ("7 images", "Failed", text, "dat_"),
        "/stripe": ("https://dashboard.stripe.com/customers/cus_", "invoice.paid", text),
        "/audit": ("Organization renamed", "<del>Acme</del>", text, "boss@example.com", "Flag set"),
    }
    assert set(expected) == set(TABS)
    for tab, texts in expected.items():
        page = staff.get(home_of(acme) + tab)
        assert page.status_code == 200
        for one in (*texts, acme.org_id, "Suspended", TABS[tab]):
            assert one in page.text, (tab, one)


def test_names_of_customers_are_text(
    app: Flask, staff: ApiClient, acme: Account, change: Callable[..., None]
) -> None:
    fill(app, acme, HOSTILE)
    for path in (f"{LIST}?flagged=1", *(home_of(acme) + tab for tab in TABS)):
        page = staff.get(path).text
        assert "<script>alert" not in page, path
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;=1+1" in page, path
    page = staff.get(home_of(acme) + "/stripe").text
    assert 'href="https://dashboard.stripe.com/subscriptions/sub_1%22%3E%3Cb%3E"' in page


def test_no_secret_is_on_the_page_of_keys(staff: ApiClient, acme: Account) -> None:
    page = staff.get(home_of(acme) + "/keys").text
    assert acme.key[-4:] in page
    assert acme.key[-8:] not in page
    assert acme.test_key[-8:] not in page


def test_pages_of_one_show_nothing_of_another(
    app: Flask, staff: ApiClient, acme: Account, globex: Account
) -> None:
    text = f"note-{uuid4().hex}"
    fill(app, globex, text)
    for tab in TABS:
        assert text not in staff.get(home_of(acme) + tab).text, tab


def test_both_modes_have_their_images_and_exports(
    app: Flask, staff: ApiClient, acme: Account
) -> None:
    image = make_asset(new_id("image", NOON), name="only-in-test")
    with app.app_context(), transaction(acme.org_id, Mode.TEST) as session:
        assets.add(session, image, Label(image.name))
    export_id = add_export(app, acme, Mode.TEST)
    for tab, text in (("/images", "only-in-test"), ("/exports", export_id)):
        assert text not in staff.get(home_of(acme) + tab).text
        assert text in staff.get(f"{home_of(acme)}{tab}?mode=test").text


def add_requests(app: Flask, account: Account, codes: list[str | None]) -> list[str]:
    """The ids of requests, the oldest first."""
    moments = [NOON + timedelta(seconds=number) for number in range(len(codes))]
    ids = [new_id("req", moment) for moment in moments]
    with app.app_context(), transaction(account.org_id) as session:
        session.add_all(
            RequestEntry(
                id=ids[number], key_id="key_1", mode=Mode.LIVE, method="GET", route="/usage",
                status=400 if code else 200, code=code, milliseconds=1, created_at=moments[number],
            )
            for number, code in enumerate(codes)
        )  # fmt: skip
    return ids


REQUEST = re.compile(r'<code class="quiet">(req_\w+)</code>')


def test_requests_are_narrowed_to_errors_or_a_code(
    app: Flask, staff: ApiClient, acme: Account
) -> None:
    ids = add_requests(app, acme, [None, "bad_request", "rate_limited", None])
    here = home_of(acme) + "/requests"
    for query, numbers in (
        ("", [3, 2, 1, 0]), ("?errors=1", [2, 1]), ("?code=bad_request", [1]),
        ("?code=bad_request&errors=1", [1]), ("?code=other", []),
    ):  # fmt: skip
        assert REQUEST.findall(staff.get(here + query).text) == [ids[n] for n in numbers], query
    assert "No such request" in staff.get(f"{here}?code=other").text


@pytest.mark.parametrize("query", ["", "?errors=1", "?code=bad_request"])
def test_pages_of_requests_follow_each_other(
    app: Flask, staff: ApiClient, acme: Account, query: str
) -> None:
    ids = add_requests(app, acme, ["bad_request"] * 120)
    assert walked(staff, home_of(acme) + "/requests" + query, REQUEST) == ids[::-1]


def walked(staff: ApiClient, path: str, what: re.Pattern[str]) -> list[str]:
    """What is found on a page and on all that follow."""
    page = staff.get(path).text
    found = what.findall(page)
    while link := re.search(r'href="(\?[^"]+)" rel="next"', page):
        page = staff.get(path.partition("?")[0] + link[1].replace("&amp;", "&")).text
        found += what.findall(page)
        assert 'rel="prev"' in page
    return found


def test_pages_of_images_and_exports_follow_each_other(
    app: Flask, staff: ApiClient, acme: Account
) -> None:
    """Many of the same moment too."""
    ids = []
    for number in range(105):
        moment = NOON + timedelta(seconds=number // 40)
        image = make_asset(f"image_{number:024}", uploaded_at=moment)
        ids.append(image.id)
        with app.app_context(), transaction(acme.org_id, Mode.TEST) as session:
            assets.add(session, image, Label(image.name))
    found = walked(staff, home_of(acme) + "/images?mode=test", re.compile(r">(image_\w+)</code>"))
    assert found == ids[::-1]
    with app.app_context(), transaction(acme.org_id, Mode.TEST) as session:
        for image_id in ids:
            session.delete(session.get_one(type(image), image_id))


def test_the_overview_tells_of_grants_and_raised_limits(
    staff: ApiClient, make_account: AccountMaker, change: Callable[..., None]
) -> None:
    acme = make_account(plan="TEAM")
    change(
        acme,
        granted_until=NOON + timedelta(days=3),
        raised_limits={"monthly_images": 50_000, "storage_mb": 1, "batch_files": None},
        raised_until=NOON + timedelta(days=2),
    )
    page = staff.get(home_of(acme)).text
    for text in ("Team, until 23 Nov 2026", "50,000", "from 20,000", "until 22 Nov 2026"):
        assert text in page
    assert page.count(">Raised<") == 2  # the limit's tag and the end's name; a lower one holds not
    change(acme, raised_until=NOON)
    assert "from 20,000" not in staff.get(home_of(acme)).text


def test_a_deleted_organization_keeps_its_log(
    app: Flask, staff: ApiClient, acme: Account, change: Callable[..., None]
) -> None:
    with app.app_context(), transaction(acme.org_id) as session:
        system = Actor(ActorKind.SYSTEM, "deletion")
        audit.record(session, system, "organization.deleted", {}, {"images": 3}, NOON)
    change(acme, name="Deleted organization", deleted_at=NOON, plan_code="FREE", slug=None)
    page = staff.get(home_of(acme) + "/audit").text
    assert "Organization deleted" in page
    assert "Deleted on 20 Nov 2026" in page
    assert acme.org_id not in listed(staff)
    assert acme.org_id in listed(staff, "?state=deleted")


def test_staff_entries_have_pages_of_their_own(app: Flask, staff: ApiClient, acme: Account) -> None:
    who = Acting(Actor(ActorKind.STAFF, "user_1"), "boss@example.com", "a reason")
    with app.app_context(), transaction() as session:
        for number in range(60):
            staff_log.record(
                session, who, "limit.raised", NOON, org_id=acme.org_id, after={"n": f"no-{number}"}
            )
    found = walked(staff, home_of(acme) + "/audit", re.compile(r">no-(\d+)<"))
    assert found == [str(number) for number in range(59, -1, -1)]


def test_stripe_s_test_mode_has_other_addresses(
    app: Flask, staff: ApiClient, acme: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(app, acme, "note")
    container = app.extensions["lightwell"]
    for key, start in (("sk_test_1", "/test/customers/"), ("sk_live_1", "/customers/")):
        settings = container.settings.model_copy(update={"stripe_secret_key": key})
        monkeypatch.setitem(app.extensions, "lightwell", replace(container, settings=settings))
        page = staff.get(home_of(acme) + "/stripe").text
        assert f"https://dashboard.stripe.com{start}cus_" in page


INDEXES = {
    "/ledger": "ix_usage_entries_org_id_id",
    "/requests": "ix_request_entries_org_id_id",
    "/requests?errors=1": "ix_request_entries_errors",
    "/requests?code=x": "ix_request_entries_codes",
    "/images": "ix_assets_uploaded",
    "/exports": "ix_exports_created_at",
    "/audit": "ix_staff_entries_org_id_number",
}


@on_both_databases
@pytest.mark.parametrize("tab", INDEXES)
def test_lists_are_read_through_their_indexes(
    app: Flask, staff: ApiClient, acme: Account, tab: str
) -> None:
    with statements(app) as sent:
        staff.get(home_of(acme) + tab)
    plans = [plan_of(app, one) for one in sent if one.text.startswith("SELECT")]
    assert any(INDEXES[tab] in plan for plan in plans), "\n\n".join(plans)
    growing = "usage_entries|request_entries|assets|exports|staff_entries"
    for plan in plans:
        assert not re.search(rf"(SCAN|Seq Scan on) ({growing})", plan), plan
        if re.search(growing, plan):
            assert not re.search("TEMP B-TREE|Sort", plan), plan


ORDERS = {
    "newest": "organizations_1",  # the primary key
    "name": "ix_organizations_folded_name_id",
    "usage": "ix_usage_counters_period_used",
    "storage": "ix_storage_counters_bytes_org_id",
    "seen": "ix_organizations_last_seen_at_id",
}


@pytest.mark.parametrize("sort", ORDERS)
@pytest.mark.parametrize("narrowed", ["", "&state=active&plan=FREE&q=a"])
def test_orders_are_read_through_their_indexes(
    app: Flask, staff: ApiClient, monkeypatch: pytest.MonkeyPatch, sort: str, narrowed: str
) -> None:
    monkeypatch.setattr(organization_query, "FEW", -1)
    with statements(app) as sent:
        staff.get(f"{LIST}?sort={sort}{narrowed}")
    ordered = [one for one in sent if "ORDER BY" in one.text]
    walks = [one for one in ordered if not re.search(" (plans|announcements)", one.text)]
    plans = [plan_of(app, one) for one in walks]
    assert ORDERS[sort] in plans[0], plans[0]
    for plan in plans:
        assert "TEMP B-TREE" not in plan, plan


SIGNS = {
    "flagged=1": "ix_organizations_flag",
    "state=suspended": "ix_organizations_suspended_at",
    "state=unconfirmed": "ix_organizations_confirm_by",
    "state=deleted": "ix_organizations_deleted_at",
    "state=deleting": "ix_organizations_delete_at",
    "state=overdue": "ix_organizations_plan_lapses_at",
    "q=studio": "ix_organizations_folded_name_id",
    "plan=TEAM": "ix_organizations_plan_code",
}


@on_both_databases
@pytest.mark.parametrize("query", SIGNS)
def test_few_organizations_are_found_by_an_index(app: Flask, staff: ApiClient, query: str) -> None:
    with statements(app) as sent:
        staff.get(f"{LIST}?{query}")
    counting = [one for one in sent if "count(*)" in one.text]
    assert len(counting) == 1
    plan = plan_of(app, counting[0])
    assert SIGNS[query] in plan
    assert not re.search("(SCAN|Seq Scan on) organizations($|\n| )(?!USING)", plan), plan
