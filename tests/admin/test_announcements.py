"""Banners for customers, and maintenance."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.extensions import transaction
from app.models import Announcement, AnnouncementKind, Role, StaffRole
from app.services import announcements
from app.services.announcements import Wanted
from app.web.announcing import board
from tests.admin.conftest import StaffMaker
from tests.client import ApiClient, bearer
from tests.clock import NOON, Clock
from tests.conftest import Account, SignIn
from tests.databases import on_both_databases, statements
from tests.staff import SAME_SITE, act, log_of
from tests.workspace import upload

pytestmark = pytest.mark.usefixtures("nothing_announced")
NEW, MAINTENANCE = "/admin/announcements/new", "/admin/announcements/maintenance"
TEXT = "A <b>new</b> format: see https://example.com"
SHOWN = "A &lt;b&gt;new&lt;/b&gt; format: see https://example.com"


def newest(app: Flask) -> Announcement:
    with app.app_context(), transaction() as session:
        one = session.scalar(select(Announcement).order_by(Announcement.id.desc()).limit(1))
        assert one is not None
        return one


def end(app: Flask, staff: ApiClient) -> int:
    return act(staff, f"/admin/announcements/{newest(app).id}/end").status_code


# ── banners ───────────────────────────────────────────────────────────────────────────────────────

Audience = Callable[[Account], dict[str, str]]
AUDIENCES: dict[str, tuple[Audience, bool]] = {
    "all": (lambda _: {}, True),
    "their plan": (lambda _: {"audience": "plan:ENTERPRISE"}, True),
    "another plan": (lambda _: {"audience": "plan:FREE"}, False),
    "them": (lambda acme: {"audience": "organization", "organization": acme.slug}, True),
    "them by id": (lambda acme: {"audience": "organization", "organization": acme.org_id}, True),
}


@on_both_databases
@pytest.mark.parametrize("whom", AUDIENCES)
def test_a_banner_is_for_whom_it_says(
    app: Flask, staff: ApiClient, acme: Account, globex: Account, sign_in: SignIn, whom: str
) -> None:
    fields, is_for_them = AUDIENCES[whom]
    member, other = sign_in(acme), sign_in(globex)
    assert act(staff, NEW, text=TEXT, **fields(acme)).status_code == 303
    assert (SHOWN in member.get(acme.home).text) is is_for_them
    assert (SHOWN in other.get(globex.home).text) is (is_for_them and not whom.startswith("them"))
    assert SHOWN in staff.get("/admin/announcements").text
    assert end(app, staff) == 303
    assert SHOWN not in member.get(acme.home).text
    assert SHOWN in staff.get("/admin/announcements").text
    made, ended = log_of(app, staff)
    assert (made.action, ended.action) == ("announcement.made", "announcement.ended")
    assert (made.subject, ended.subject) == (newest(app).id,) * 2
    assert made.org_id == (acme.org_id if whom.startswith("them") else None)


def test_a_banner_begins_and_ends_by_itself(
    staff: ApiClient, acme: Account, sign_in: SignIn, clock: Clock
) -> None:
    member = sign_in(acme)
    when = {"starts": "2026-11-20T13:00", "ends": "2026-11-20T14:00"}
    assert act(staff, NEW, text="Soon", **when).status_code == 303
    seen = []
    for _ in range(3):
        seen.append("Soon" in member.get(acme.home).text)
        clock.advance(hours=1)
    assert seen == [False, True, False]


def test_a_change_ends_the_former_one(
    app: Flask, staff: ApiClient, acme: Account, sign_in: SignIn
) -> None:
    act(staff, NEW, text="Befor", audience="plan:ENTERPRISE", ends="2026-11-21T12:00")
    former = newest(app).id
    form = staff.get(f"{NEW}?instead_of={former}").text
    assert "Befor</textarea>" in form
    assert 'value="2026-11-21T12:00"' in form
    assert act(staff, NEW, text="Before", instead_of=former).status_code == 303
    page = sign_in(acme).get(acme.home).text
    assert "Before" in page
    assert "Befor<" not in page
    assert [entry.action for entry in log_of(app, staff)] == ["announcement.made"] * 2
    assert log_of(app, staff)[-1].before["text"] == "Befor"
    assert act(staff, NEW, text="Again", instead_of=former).status_code == 409
    assert act(staff, NEW, text="Again", instead_of="ann_never_was").status_code == 404


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"text": ""}, "Say something."),
        ({"text": "x" * 501}, "Must have at most 500 characters."),
        ({"reason": ""}, "Say why"),
        ({"ends": "2026-11-20T11:59"}, "Must be after the beginning"),
        ({"starts": "2026-11-20T14:00", "ends": "2026-11-20T13:00"}, "Must be after the beginning"),
        ({"starts": "tomorrow"}, "Write a day and a time"),
        ({"audience": "plan:NEVER"}, "Choose whom it is for."),
        ({"audience": "organization", "organization": "never-was"}, "No organization has this id"),
        ({"audience": "organization"}, "No organization has this id"),
    ],
)
def test_a_form_comes_back_with_what_is_wrong(
    app: Flask, staff: ApiClient, fields: dict[str, str], problem: str
) -> None:
    answer = act(staff, NEW, **{"text": "Kept text", **fields})
    assert answer.status_code == 400
    assert problem in answer.text
    assert log_of(app, staff) == []


def test_what_is_over_comes_in_pages(app: Flask, staff: ApiClient, clock: Clock) -> None:
    with app.app_context(), transaction() as session:
        for number in range(announcements.PAGE_SIZE + 1):
            wanted = Wanted(AnnouncementKind.BANNER, f"Number {number:02}.")
            made = announcements.make(session, wanted, "user_1", clock())
            announcements.end(session, made.id, clock())
    first = staff.get("/admin/announcements").text
    assert "Number 50." in first
    assert "Number 00." not in first
    rest = staff.get(f"/admin/announcements?before={newest_but(app, 49)}").text
    assert "Number 00." in rest
    assert "Number 01." not in rest


def newest_but(app: Flask, number: int) -> str:
    with app.app_context(), transaction() as session:
        newest_first = select(Announcement.id).order_by(Announcement.id.desc())
        return str(session.scalar(newest_first.offset(number).limit(1)))


def test_there_is_a_limit_of_running_ones(app: Flask, staff: ApiClient, clock: Clock) -> None:
    wanted = Wanted(AnnouncementKind.BANNER, "x", ends_at=NOON + timedelta(hours=1))
    with app.app_context(), transaction() as session:
        for _ in range(announcements.MOST):
            announcements.make(session, wanted, "user_1", clock())
    assert act(staff, NEW, text="One more").status_code == 409
    clock.advance(hours=2)
    assert act(staff, NEW, text="One more").status_code == 303


def test_pages_read_it_every_three_seconds(
    app: Flask, acme: Account, sign_in: SignIn, clock: Clock
) -> None:
    """So another process sees a change within that time."""
    member = sign_in(acme)
    member.get(acme.home)
    with app.app_context(), transaction() as session:
        announcements.make(session, Wanted(AnnouncementKind.BANNER, "From afar"), "u", clock())
    with statements(app) as sent:
        assert "From afar" not in member.get(acme.home).text
    assert not [one for one in sent if "announcements" in one.text]
    clock.advance(seconds=3)
    with statements(app) as sent:
        assert "From afar" in member.get(acme.home).text
    assert len([one for one in sent if "announcements" in one.text]) == 1


def test_only_admins_announce(make_staff: StaffMaker) -> None:
    for role in (StaffRole.SUPPORT, StaffRole.BILLING):
        person = make_staff(role)
        assert act(person, NEW, text="Hello").status_code == 403
        assert person.get("/admin/announcements").status_code == 403


# ── maintenance ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def maintenance(staff: ApiClient) -> None:
    answer = act(staff, MAINTENANCE, text="We move house.", ends="2026-11-20T12:30")
    assert answer.status_code == 303


@pytest.mark.usefixtures("maintenance")
def test_the_api_refuses_writes_and_answers_reads(client: ApiClient, acme: Account) -> None:
    for method, path in (
        ("POST", "/v1/images"),
        ("POST", "/compress/batch"),
        ("POST", "/auth/register"),
        ("DELETE", "/v1/images/image_1"),
        ("PUT", "/storage/some-key"),
    ):
        refused = client.open(path, method=method, headers=bearer(acme.key))
        assert refused.status_code == 503, path
        assert refused.json["code"] == "maintenance"
        assert refused.json["error"] == "We move house."
        assert 1790 <= int(refused.headers["Retry-After"]) <= 1800
        assert refused.headers["Access-Control-Allow-Origin"] == "*"
    assert client.get("/v1/images", headers=bearer(acme.key)).status_code == 200
    assert client.options("/v1/images").status_code == 200
    assert client.get("/healthz").status_code == 200


def test_urls_of_copies_that_are_there_are_signed_and_no_new_one_is_made(
    staff: ApiClient, client: ApiClient, acme: Account
) -> None:
    asset = upload(client, acme.key)
    url = f"/api/v1/assets/{asset['id']}/export-url?maxWidth="
    made = client.get(f"{url}20", headers=bearer(acme.key))
    assert (made.status_code, made.json["cached"]) == (200, False)
    act(staff, MAINTENANCE, text="We move house.")
    assert client.get(f"{url}20", headers=bearer(acme.key)).json["cached"]
    refused = client.get(f"{url}21", headers=bearer(acme.key))
    assert (refused.status_code, refused.json["code"]) == (503, "maintenance")
    page = staff.get("/admin").text
    assert page.count("We move house.") == 1
    assert '<a href="/admin/announcements">See announcements</a></p>' in page


@pytest.mark.usefixtures("maintenance")
def test_pages_say_it_and_refuse_forms(acme: Account, sign_in: SignIn, client: ApiClient) -> None:
    owner = sign_in(acme, Role.OWNER)
    refused = owner.post(f"{acme.home}/settings/name", headers=SAME_SITE)
    assert refused.status_code == 503
    assert "We move house." in refused.text
    for path in (acme.home, "/account", "/", "/login"):
        answer = (client if path == "/login" else owner).get(path)
        assert answer.status_code == 200
        assert "We move house." in answer.text, path


@pytest.mark.usefixtures("maintenance")
def test_signing_in_the_console_and_stripe_go_on(
    app: Flask, staff: ApiClient, acme: Account, sign_in: SignIn, client: ApiClient
) -> None:
    member = sign_in(acme)
    wrong = client.post(
        "/login", data={"email": "a@example.com", "password": "x"}, headers=SAME_SITE
    )
    assert wrong.status_code == 400
    assert client.post("/login/code", headers=SAME_SITE).status_code == 303
    assert member.post("/logout", headers=SAME_SITE).status_code == 303
    assert client.post("/webhooks/stripe").status_code != 503
    assert end(app, staff) == 303
    assert client.post("/v1/images", headers=bearer(acme.key)).status_code == 400
    assert [entry.action for entry in log_of(app, staff)] == [
        "maintenance.begun",
        "maintenance.ended",
    ]


@pytest.mark.usefixtures("maintenance")
def test_while_another_goes_on_the_end_of_one_promises_nothing(
    app: Flask, staff: ApiClient, client: ApiClient, acme: Account, clock: Clock
) -> None:
    """Such as after a form was sent twice."""
    first = newest(app)
    clock.advance(seconds=1)
    assert act(staff, MAINTENANCE, text="We move house.").status_code == 303
    for one, again in ((newest(app), False), (first, True)):
        staff.get("/admin/announcements")  # shows what was said before
        act(staff, f"/admin/announcements/{one.id}/end")
        assert ("Writes are taken again." in staff.get("/admin/announcements").text) is again
        refused = client.post("/v1/images", headers=bearer(acme.key)).status_code == 503
        assert refused is not again


@pytest.mark.parametrize(
    ("ends", "passed", "seconds"),
    [("", 0, 300), ("2026-11-20T12:01", 57, 5), ("2027-01-01T00:00", 0, 3600)],
)
def test_clients_are_told_when_to_come_back(
    staff: ApiClient, client: ApiClient, clock: Clock, ends: str, passed: int, seconds: int
) -> None:
    act(staff, MAINTENANCE, text="Work.", ends=ends)
    clock.advance(seconds=passed)
    assert client.post("/v1/images").headers["Retry-After"] == str(seconds)


def test_it_ends_at_its_end(staff: ApiClient, client: ApiClient, clock: Clock) -> None:
    act(staff, MAINTENANCE, text="Work.", starts="2026-11-20T12:10", ends="2026-11-20T12:20")
    seen = []
    for _ in range(3):
        seen.append(client.post("/v1/images").status_code)
        clock.advance(minutes=10)
    assert seen == [401, 503, 401]


def test_without_a_database_the_last_reading_holds(
    app: Flask, staff: ApiClient, client: ApiClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    act(staff, MAINTENANCE, text="Work.")
    assert client.post("/v1/images").status_code == 503
    with app.app_context():
        held = board().holding(clock())
        clock.advance(minutes=1)
        with monkeypatch.context() as broken:
            broken.setattr(announcements, "not_ended", refuse)
            assert [one.id for one in board().holding(clock())] == [one.id for one in held]


def refuse(*_: object) -> None:
    raise OperationalError("SELECT", {}, Exception("gone"))
