"""From a session to a principal: who is signed in, what their role lets them do, and staff."""

from itertools import pairwise

import pytest
from flask import Flask, g
from sqlalchemy import delete, update

from app.extensions import transaction
from app.models import ActorKind, Membership, Organization, Role, User
from app.web import requirements
from app.web.requirements import Staff, requires
from tests.client import ApiClient
from tests.conftest import Account, AccountMaker, AppMaker, SignIn

SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def app(make_app: AppMaker) -> Flask:
    """The application with views that no page has yet."""
    app = make_app()

    def who() -> dict[str, object]:
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

    for role in Role:
        view = requires(requirements.User(role))(lambda: who())
        app.add_url_rule(f"/account/{role}", role, view, methods=["GET", "POST"])
    console = requires(Staff("support"))(lambda: who())
    app.add_url_rule("/account/console", "console", console, methods=["GET", "POST"])
    return app


def user_of(client: ApiClient) -> str:
    with client.session_transaction() as session:
        return session["user_id"]


def test_the_higher_role_may_all_that_the_lower_may() -> None:
    for higher, lower in pairwise(Role):
        assert higher.includes(lower)
        assert not lower.includes(higher)
    assert all(role.includes(role) for role in Role)


@pytest.mark.parametrize("role", Role)
def test_a_user_acts_in_an_organization_as_far_as_the_role_goes(
    make_account: AccountMaker, sign_in: SignIn, role: Role
) -> None:
    team = make_account(plan="TEAM")
    member = sign_in(team, role)
    answer = member.get("/account/viewer")
    assert answer.json == {
        "actor": f"user {user_of(member)}",
        "org_id": team.org_id,
        "mode": "live",
        "scopes": ["read"] if role is Role.VIEWER else ["read", "write"],
        "plan": "TEAM",
        "images": 500,
        "counted": user_of(member),
    }
    for needed in Role:
        answer = member.get(f"/account/{needed}")
        assert answer.status_code == (200 if role.includes(needed) else 403), needed


def test_a_refusal_for_the_role_says_which_it_takes(acme: Account, sign_in: SignIn) -> None:
    answer = sign_in(acme, Role.VIEWER).get("/account/admin")
    assert (answer.status_code, answer.mimetype) == (403, "text/html")
    assert "You are viewer here; this takes the role &#39;admin&#39;." in answer.text
    assert "Your role does not include this" in answer.text


def test_who_has_left_is_signed_out_at_once_and_who_rises_may_more_at_once(
    app: Flask, acme: Account, sign_in: SignIn
) -> None:
    member = sign_in(acme, Role.VIEWER)
    own = Membership.user_id == user_of(member)
    assert member.get("/account/owner").status_code == 403
    with app.app_context(), transaction() as session:
        session.change(update(Membership).where(own).values(role=Role.OWNER))
    assert member.get("/account/owner").status_code == 200
    with app.app_context(), transaction() as session:
        session.change(delete(Membership).where(own))
    assert member.get("/account/viewer").status_code == 401


@pytest.mark.parametrize("lost", ["user_id", "org_id"])
def test_a_session_without_one_of_its_halves_is_nobody_s(
    acme: Account, sign_in: SignIn, lost: str
) -> None:
    member = sign_in(acme)
    with member.session_transaction() as session:
        del session[lost]
    assert member.get("/account").status_code == 401


def test_a_session_for_an_organization_without_a_membership_is_nobody_s(
    acme: Account, globex: Account, sign_in: SignIn
) -> None:
    member = sign_in(acme, Role.OWNER)
    assert member.get("/account").status_code == 200
    with member.session_transaction() as session:
        session["org_id"] = globex.org_id
    assert member.get("/account").status_code == 401


def test_a_session_that_we_did_not_sign_is_nobody_s(
    client: ApiClient, acme: Account, sign_in: SignIn
) -> None:
    signed = sign_in(acme).get_cookie("session")
    assert signed
    cookie = signed.value
    payload, rest = cookie.split(".", 1)
    for forged in (cookie[:-1], f"{payload}x.{rest}", "e30.aaaa.bbbb"):
        client.set_cookie("session", forged)
        assert client.get("/account").status_code == 401, forged


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
    acme: Account, sign_in: SignIn, headers: dict[str, str] | None, status: int
) -> None:
    for member, path in (
        (sign_in(acme), "/account/member"),
        (sign_in(acme, is_staff=True), "/account/console"),
    ):
        assert member.post(path, headers=headers).status_code == status, path
        assert member.get(path, headers=headers).status_code == 200, path


def test_staff_acts_as_staff(app: Flask, acme: Account, sign_in: SignIn) -> None:
    staff = sign_in(acme, is_staff=True)
    assert staff.get("/account/console").json["actor"] == f"{ActorKind.STAFF} {user_of(staff)}"
    with app.app_context(), transaction() as session:
        own = update(User).where(User.id == user_of(staff))
        session.change(own.values(is_staff=False))
    assert staff.get("/account/console").status_code == 404


def test_the_console_is_to_others_as_what_does_not_exist(
    client: ApiClient, acme: Account, sign_in: SignIn
) -> None:
    for caller in (client, sign_in(acme, Role.OWNER)):
        refused, missing = caller.get("/account/console"), caller.get("/account/nothing")
        assert (refused.status_code, missing.status_code) == (404, 404)
        refusal, absence = (
            answer.text.replace(answer.headers["X-Request-Id"], "").replace(answer.request.path, "")
            for answer in (refused, missing)
        )
        assert refusal == absence


def test_the_session_cookie_is_for_our_own_pages_only(
    client: ApiClient, acme: Account, sign_in: SignIn
) -> None:
    cookie = sign_in(acme).get_cookie("session")
    assert cookie
    assert (cookie.http_only, cookie.same_site, cookie.secure) == (True, "Lax", False)


def test_the_account_says_who_is_signed_in(app: Flask, acme: Account, sign_in: SignIn) -> None:
    member = sign_in(acme, Role.ADMIN)
    with app.app_context(), transaction() as session:
        session.get_one(Organization, acme.org_id).name = "Nuts & <b>Bolts</b>"
        email = session.get_one(User, user_of(member)).email
    answer = member.get("/account")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    for text in (email, "Nuts &amp; &lt;b&gt;Bolts&lt;/b&gt;", "<dd>admin</dd>"):
        assert text in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in answer.headers
