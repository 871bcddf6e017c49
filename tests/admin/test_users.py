"""The list of people, and the page of one."""

import re
from collections.abc import Mapping, Sequence
from uuid import uuid4

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis.exceptions import RedisError

from app.extensions import transaction
from app.models import LinkPurpose, StaffRole, User, folded, new_id
from app.services.accounts import mailed_links
from app.services.staff import duties, people
from app.services.staff.duties import Duty
from app.services.staff.people import Filter
from app.web import throttle
from tests.admin.conftest import StaffMaker
from tests.admin.people import NAME, give_factors, make_invitation, make_mail, make_person
from tests.client import ApiClient
from tests.clock import Clock
from tests.conftest import Account, SignIn
from tests.databases import on_both_databases, plan_of, statements
from tests.staff import act


def make_users(app: Flask, clock: Clock, users: Sequence[Mapping[str, object]]) -> list[str]:
    """Bare users, in this order. Returns their ids."""
    ids = []
    with app.app_context(), transaction() as session:
        for number, values in enumerate(users):
            clock.advance(milliseconds=1)
            user_id = new_id("user", clock())
            email = f"{number}-{uuid4().hex}@example.com"
            session.add(User(**{"id": user_id, "email": email, "created_at": clock(), **values}))
            ids.append(user_id)
    return ids


def all_pages(wanted: Filter) -> list[str]:
    """The ids of all pages, one after the other."""
    ids: list[str] = []
    after = None
    while True:
        with transaction() as session:
            found = people.page(session, wanted, after)
        ids += [one.id for one in found.people]
        if (after := found.next) is None:
            return ids


@on_both_databases
def test_the_list_is_read_page_by_page(app: Flask, clock: Clock, staff: ApiClient) -> None:
    """By the e-mail's beginning, then by the name's; nobody twice, nobody missing."""
    mark = uuid4().hex
    named = [{"name": f"{mark.upper()} {number:03}"} for number in range(60)]
    mailed = [
        {"email": f"{mark}{number:03}@x.example", "name": f"{mark} z"} for number in range(55)
    ]
    by_name, by_email = make_users(app, clock, named), make_users(app, clock, mailed)
    with app.app_context():
        assert all_pages(Filter(text=mark)) == by_email + by_name
        assert all_pages(Filter(text=f"{mark}00")) == by_email[:10]
        made = {*by_name, *by_email}
        newest = [one for one in all_pages(Filter()) if one in made]
        assert newest == (by_name + by_email)[::-1]
    seen: list[str] = []
    path = f"/admin/users?text={mark.upper()}"
    for _ in range(3):
        page = staff.get(path).text
        seen += re.findall(r'href="/admin/users/(user_\w+)"', page)
        following = re.search(r'href="(\?[^"]+)" rel="next"', page)
        path = f"/admin/users{following[1]}".replace("&amp;", "&") if following else ""
    assert seen == by_email + by_name
    assert not path


@on_both_databases
def test_a_page_that_is_full_when_the_e_mails_end_leads_to_the_names(
    app: Flask, clock: Clock, staff: ApiClient
) -> None:
    mark = uuid4().hex
    mailed = make_users(app, clock, [{"email": f"{mark}{n:03}@x.example"} for n in range(50)])
    with app.app_context():
        assert all_pages(Filter(text=mark)) == mailed
        named = make_users(app, clock, [{"name": mark}])
        assert all_pages(Filter(text=mark)) == mailed + named


@on_both_databases
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example("%")
@example("_")
@example("\\")
@example("İ")
@example("\U0010ffff")
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8))
def test_whatever_is_typed_finds_the_names_that_begin_with_it(
    app: Flask, clock: Clock, context: None, text: str
) -> None:
    wanted = Filter.read({"text": text})
    name = f"{wanted.text} and more"
    (user_id,) = make_users(app, clock, [{"name": name}])
    with transaction() as session:
        found = people.page(session, wanted).people
    for one in found:
        begins = wanted.text.lower()
        assert one.email.startswith(begins) or folded(one.name or "").startswith(folded(begins))
    if wanted.text and "@" not in wanted.text and len(found) < people.PAGE_SIZE:
        assert user_id in {one.id for one in found}


@on_both_databases
def test_kinds_are_told_apart(
    app: Flask, clock: Clock, make_staff: StaffMaker, staff: ApiClient
) -> None:
    billing = make_staff(StaffRole.BILLING)
    unconfirmed = make_users(app, clock, [{}])[0]
    confirmed = make_users(app, clock, [{"confirmed_at": clock()}])[0]
    with app.app_context():
        of_staff = all_pages(Filter.read({"kind": "staff"}))
        waiting = all_pages(Filter.read({"kind": "unconfirmed"}))
    assert {billing.user_id, staff.user_id} <= set(of_staff)
    assert unconfirmed not in of_staff
    assert unconfirmed in waiting
    assert confirmed not in waiting
    page = staff.get("/admin/users?kind=unconfirmed").text
    assert 'href="?kind=unconfirmed" aria-current="page"' in page


@on_both_databases
@pytest.mark.parametrize("wanted", [
    Filter(), Filter(text="ada"), Filter(text="ada@"), Filter(kind="staff"),
    Filter(kind="unconfirmed"),
])  # fmt: skip
@pytest.mark.parametrize("is_first", [True, False])
def test_each_page_follows_an_index(
    app: Flask, context: None, wanted: Filter, is_first: bool
) -> None:
    part = people.BY_EMAIL if wanted.text else people.NEWEST
    after = None if is_first else (part, "ada", "")
    with statements(app) as sent, transaction() as session:
        people.page(session, wanted, after)
    reads = [one for one in sent if "FROM users" in one.text]
    assert reads
    for read in reads:
        plan = plan_of(app, read)
        assert "Seq Scan" not in plan
        assert "SCAN users" not in plan.replace("SCAN users USING", "")


@pytest.mark.parametrize("query", [
    "after=x", "after=id&after=&after=", "after=name&after=%00&after=", "text=%00", "kind=all",
    "after=email&after=a&after=b&text=x", f"text={'x' * 500}", "text=%F0%9F%92%A1",
    "after=other&after=x&after=y",
])  # fmt: skip
def test_what_can_t_be_read_is_left_out(staff: ApiClient, query: str) -> None:
    assert staff.get(f"/admin/users?{query}").status_code == 200


@on_both_databases
def test_the_page_of_a_person_tells_what_is_known_and_no_secret(
    app: Flask, clock: Clock, acme: Account, globex: Account, staff: ApiClient
) -> None:
    person = make_person(app)
    give_factors(app, person.user_id)
    make_mail(app, person.email)
    make_mail(app, person.email, text=None, html=None, next_attempt_at=None, error="550 no")
    invitation = make_invitation(app, acme, person.email)
    with app.app_context(), transaction() as session:
        user = session.get_one(User, person.user_id)
        token = mailed_links.issue(session, user, LinkPurpose.RESET, clock())
    act(staff, f"/admin/users/{person.user_id}/mails/reset")
    page = staff.get(f"/admin/users/{person.user_id}").text
    for words in (
        person.email, "Someone&#39;s", "Firefox on Linux", "203.0.113.9", "Phone", "1 recovery",
        "A plan has changed", "451 try later", "Given up", "Waits", "Set a password",
        f"resend-{invitation}", "User reset sent", "a customer asked for it",
    ):  # fmt: skip
        assert words in page, words
    for secret in (NAME, token, "reset/secret", "JBSWY3DPEHPK3PXP"):
        assert secret not in page, secret
    assert staff.get("/admin/users/user_nobody").status_code == 404


def test_without_redis_the_page_says_so(
    app: Flask, staff: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RedisError("gone")

    monkeypatch.setattr(throttle, "state", fail)
    page = staff.get(f"/admin/users/{make_person(app).user_id}")
    assert "Redis does not answer" in page.text


def test_the_table_of_roles_is_what_holds(staff: ApiClient) -> None:
    page = staff.get("/admin/roles").text.replace("&#39;", "'")
    for duty in Duty:
        row = re.search(rf"<th scope=\"row\">{duty[0].upper()}{duty[1:]}</th>(.*?)</tr>", page)
        assert row, duty
        shown = re.findall(r'hidden">(yes|no)<', row[1])
        held = [duties.may(role, duty) for role in list(StaffRole)[::-1]]
        assert shown == ["yes" if may else "no" for may in held], duty


def test_actions_are_offered_to_who_may(
    app: Flask, acme: Account, make_staff: StaffMaker, sign_in: SignIn
) -> None:
    support, admin = make_staff(StaffRole.SUPPORT), make_staff()
    customer = f"/admin/users/{make_person(app).user_id}"
    assert 'data-dialog="mail-reset"' in support.get(customer).text
    assert 'data-dialog="staff-role"' not in support.get(customer).text
    assert 'data-dialog="staff-role"' in admin.get(customer).text
    for path in (f"/admin/users/{admin.user_id}", f"/admin/users/{support.user_id}"):
        assert "data-dialog=" not in support.get(path).text
    assert "data-dialog=" not in admin.get(f"/admin/users/{admin.user_id}").text
