"""From a session to a person and to a principal: who is signed in, and what their role lets them
do. Pages that no section has yet stand in for those to come."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from flask import Flask, g
from sqlalchemy import delete, update

from app.extensions import transaction
from app.models import Membership, Role, StaffRole, User
from app.services.accounts import permissions
from app.services.accounts.permissions import Action
from app.services.staff.duties import Duty
from app.web import sessions
from app.web.requirements import Member, Staff, requires
from tests.client import ApiClient, client_of, unmarked
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, AppMaker, SignIn, release

SAME = {"Sec-Fetch-Site": "same-origin"}
ACTIONS = {Role.VIEWER: Action.VIEW, Role.MEMBER: Action.CHANGE_IMAGES,
           Role.ADMIN: Action.MANAGE_KEYS, Role.OWNER: Action.DELETE}  # fmt: skip
"""An action of each role that lower ones may not do."""


@pytest.fixture(scope="module")
def app(make_app: AppMaker) -> Flask:
    """The application with views that no page has yet."""
    app = make_app()

    def who(**_: str) -> dict[str, object]:
        who = g.principal
        return {
            "actor": f"{who.actor.kind} {who.actor.id}",
            "org_id": who.org_id,
            "mode": who.mode,
            "scopes": sorted(who.scopes),
            "plan": who.allowance.plan,
            "images": who.allowance.test_images,
            "counted": who.rate_limit_id,
        }

    def console() -> dict[str, str]:
        return {"user": sessions.person().user_id}

    for role, action in ACTIONS.items():
        view = requires(Member(action=action))(lambda **ids: who(**ids))
        app.add_url_rule(f"/dashboard/<slug>/as-{role}", role, view, methods=["GET", "POST"])
    staff = requires(Staff(Duty.LOOK))(console)
    app.add_url_rule("/account/console", "console", staff, methods=["GET", "POST"])
    return app


def test_the_higher_role_may_all_that_the_lower_may() -> None:
    for higher, lower in pairwise(Role):
        assert higher.includes(lower)
        assert not lower.includes(higher)
        assert all(permissions.may(higher, one) for one in Action if permissions.may(lower, one))
    assert all(role.includes(role) for role in Role)


@pytest.mark.parametrize("role", Role)
def test_a_person_acts_in_an_organization_as_far_as_the_role_goes(
    make_account: AccountMaker, sign_in: SignIn, role: Role
) -> None:
    team = make_account(plan="TEAM")
    member = sign_in(team, role)
    assert member.get(f"{team.home}/as-viewer").json == {
        "actor": f"user {member.user_id}",
        "org_id": team.org_id,
        "mode": "live",
        "scopes": ["read"] if role is Role.VIEWER else ["read", "write"],
        "plan": "TEAM",
        "images": 500,
        "counted": member.user_id,
    }
    assert member.get(f"{team.home}/as-viewer?mode=test").json["mode"] == "test"
    for needed in Role:
        answer = member.get(f"{team.home}/as-{needed}")
        assert answer.status_code == (200 if role.includes(needed) else 403), needed


def test_a_refusal_for_the_role_says_which_it_takes(acme: Account, sign_in: SignIn) -> None:
    answer = sign_in(acme, Role.VIEWER).get(f"{acme.home}/as-admin")
    assert (answer.status_code, answer.mimetype) == (403, "text/html")
    assert "takes the role admin or a higher one." in answer.text
    assert "Your role does not include this" in answer.text


def test_who_leaves_is_out_at_once_and_who_rises_may_more_at_once(
    app: Flask, acme: Account, sign_in: SignIn
) -> None:
    member = sign_in(acme, Role.VIEWER)
    own = Membership.user_id == member.user_id
    assert member.get(f"{acme.home}/as-owner").status_code == 403
    with app.app_context(), transaction() as session:
        session.change(update(Membership).where(own).values(role=Role.OWNER))
    assert member.get(f"{acme.home}/as-owner").status_code == 200
    with app.app_context(), transaction() as session:
        session.change(delete(Membership).where(own))
    assert member.get(f"{acme.home}/as-viewer").status_code == 404
    assert member.get("/account").status_code == 200


def test_who_is_gone_is_nobody(app: Flask, acme: Account, sign_in: SignIn) -> None:
    member = sign_in(acme)
    with app.app_context(), transaction() as session:
        session.change(delete(User).where(User.id == member.user_id))
    assert member.get("/account").status_code == 303


def test_a_session_that_we_did_not_sign_is_nobody_s(
    client: ApiClient, acme: Account, sign_in: SignIn
) -> None:
    signed = sign_in(acme).get_cookie("session")
    assert signed
    cookie = signed.value
    payload, rest = cookie.split(".", 1)
    for forged in (cookie[:-1], f"{payload}x.{rest}", "e30.aaaa.bbbb", "", "x" * 3000):
        client.set_cookie("session", forged)
        assert client.get("/account").status_code == 303, forged
    client.set_cookie("session", cookie)
    assert client.get("/account").status_code == 200


@pytest.mark.parametrize("token", ["", "nonsense", None])
def test_a_signed_cookie_with_an_unknown_token_is_nobody_s(
    client: ApiClient, token: object
) -> None:
    with client.session_transaction() as session:
        session["_user_id"] = token
    assert client.get("/account").status_code == 303


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (SAME, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 403),
        ({"Origin": "https://other.example"}, 403),
        ({"Origin": "http://localhost.other.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_other_sites_change_nothing_with_somebody_s_session(
    acme: Account, sign_in: SignIn, headers: dict[str, str], status: int
) -> None:
    for member, path in (
        (sign_in(acme), f"{acme.home}/as-member"),
        (sign_in(acme, staff_role=StaffRole.ADMIN, second_factor=True), "/account/console"),
    ):
        assert member.post(path, headers=headers).status_code == status, path
        assert member.get(path, headers=headers).status_code == 200, path


def test_staff_counts_only_with_a_second_factor_in_the_session(
    app: Flask, acme: Account, sign_in: SignIn
) -> None:
    staff = sign_in(acme, staff_role=StaffRole.ADMIN, second_factor=True)
    assert staff.get("/account/console").json == {"user": staff.user_id}
    assert sign_in(acme, staff_role=StaffRole.ADMIN).get("/account/console").status_code == 404
    with app.app_context(), transaction() as session:
        session.change(update(User).where(User.id == staff.user_id).values(staff_role=None))
    assert staff.get("/account/console").status_code == 404


def test_the_console_is_to_others_as_what_does_not_exist(
    client: ApiClient, acme: Account, sign_in: SignIn
) -> None:
    for caller in (client, sign_in(acme, Role.OWNER), sign_in(acme, staff_role=StaffRole.ADMIN)):
        refused, missing = caller.get("/account/console"), caller.get("/account/nothing")
        assert (refused.status_code, missing.status_code) == (404, 404)
        refusal, absence = (
            unmarked(answer).replace(answer.request.path.encode(), b"")
            for answer in (refused, missing)
        )
        assert refusal == absence


def test_the_session_cookie_is_for_our_own_pages_only(acme: Account, sign_in: SignIn) -> None:
    cookie = sign_in(acme).get_cookie("session")
    assert cookie
    assert (cookie.http_only, cookie.same_site, cookie.secure) == (True, "Lax", False)


@pytest.fixture
def production(make_app: AppMaker) -> Iterator[Flask]:
    app = make_app(
        app_env="production", secret_key="k" * 50, public_url="https://lightwell.example.com"
    )
    yield app
    release(app)


def test_in_production_the_session_cookie_is_bound_to_the_host_and_to_https(
    production: Flask, clock: Clock
) -> None:
    client = client_of(production)
    answer = client.post("/logout", headers=SAME, base_url="https://lightwell.example.com")
    (cookie,) = answer.headers.getlist("Set-Cookie")
    assert cookie.startswith("__Host-session=")
    for attribute in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert f"; {attribute}" in cookie
    assert "Domain" not in cookie


def test_half_a_session_is_nobody_s_and_lasts_ten_minutes(
    app: Flask, acme: Account, sign_in: SignIn, clock: Clock
) -> None:
    member = sign_in(acme)
    with app.test_request_context():
        sessions.begin_half(member.user_id, "/account")
        assert sessions.signed_in_person() is None
        half = sessions.half_signed_in()
        assert half
        assert (half.user_id, half.next_path) == (member.user_id, "/account")
        clock.advance(minutes=10)
        assert sessions.half_signed_in() is None


def test_a_renewed_session_has_another_token_and_may_gain_a_second_factor(
    app: Flask, acme: Account, sign_in: SignIn
) -> None:
    member = sign_in(acme)
    cookie = member.get_cookie("session")
    assert cookie
    with app.test_request_context(headers={"Cookie": f"session={cookie.value}"}):
        assert sessions.person().second_factor_at is None
        sessions.renew(second_factor=True)
        assert sessions.person().second_factor_at
        assert sessions.person().user_id == member.user_id
    assert member.get("/account").status_code == 303


def test_the_account_says_who_is_signed_in(app: Flask, acme: Account, sign_in: SignIn) -> None:
    member = sign_in(acme, Role.ADMIN)
    with app.app_context(), transaction() as session:
        email = session.get_one(User, member.user_id).email
    answer = member.get("/account")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert email in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in answer.headers
