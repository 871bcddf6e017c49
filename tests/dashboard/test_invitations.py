"""Invitations: from the team page by mail to a new member."""

import re
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.models import Invitation, Role, User
from app.services import sweep
from app.services.accounts import invitations
from tests.client import ApiClient, client_of
from tests.clock import Clock
from tests.conftest import Account, SignIn
from tests.databases import on_both_databases
from tests.forms import post, text_of
from tests.people import last_link
from tests.team import add_invitation, audited, email_of, link_to, mails_to, roles

PASSWORD = "a lamp in the hallway"


@pytest.fixture
def admin(acme: Account, sign_in: SignIn) -> ApiClient:
    return sign_in(acme, Role.ADMIN)


@pytest.fixture
def stranger(app: Flask) -> str:
    """An address without an account."""
    return f"new-{uuid4().hex}@example.com"


def invite(client: ApiClient, account: Account, email: str, role: str = "member") -> int:
    path = f"{account.home}/team/invitations"
    return post(client, path, email=email, role=role).status_code


def open_ones(app: Flask, account: Account) -> list[tuple[str, str]]:
    with app.app_context(), transaction(account.org_id) as session:
        return [(one.email, one.role) for one in invitations.all_of(session)]


@on_both_databases
def test_a_stranger_joins_with_a_new_account(
    app: Flask, acme: Account, admin: ApiClient, stranger: str
) -> None:
    assert invite(admin, acme, f" {stranger.upper()} ", "viewer") == 303
    assert open_ones(app, acme) == [(stranger, "viewer")]
    link, visitor = link_to(app, stranger), client_of(app)
    page = visitor.get(link)
    for told in (stranger, "viewer", email_of(app, admin.user_id)):
        assert told in page.text
    assert open_ones(app, acme), "opening it changes nothing"
    answer = post(
        visitor, link, password=PASSWORD, role="owner", staff_role="admin", email=acme.email
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, acme.home)
    with app.app_context(), transaction() as session:
        user = session.scalars(select(User).where(User.email == stranger)).one()
        assert user.confirmed_at
        assert user.staff_role is None
    assert roles(app, acme)[user.id] == "viewer"
    assert visitor.get(f"{acme.home}/team").status_code == 200
    assert audited(app, acme)[-1] == ("member.joined", {"member": stranger, "role": "viewer"})
    assert open_ones(app, acme) == []


def test_a_sign_up_that_nobody_confirmed_keeps_nobody_out(
    app: Flask, acme: Account, admin: ApiClient, stranger: str
) -> None:
    post(client_of(app), "/signup", email=stranger, password="a lamp of somebody else")
    theirs = last_link(app, stranger)
    invite(admin, acme, stranger)
    answer = post(client_of(app), link_to(app, stranger), password=PASSWORD)
    assert answer.headers["Location"] == acme.home
    assert client_of(app).get(theirs).status_code == 404


def test_a_link_is_good_once(app: Flask, acme: Account, admin: ApiClient, stranger: str) -> None:
    invite(admin, acme, stranger)
    link, visitor = link_to(app, stranger), client_of(app)
    post(visitor, link, password=PASSWORD)
    other = client_of(app)
    for answer in (visitor.get(link), post(visitor, link), post(other, link, password=PASSWORD)):
        assert answer.status_code == 404
        assert "the organization is in your dashboard" in answer.text


@pytest.mark.parametrize("password", ["", "short", "1234567890", "x" * 201])
def test_a_bad_password_is_refused_at_the_field(
    app: Flask, acme: Account, admin: ApiClient, stranger: str, password: str
) -> None:
    invite(admin, acme, stranger)
    link = link_to(app, stranger)
    answer = post(client_of(app), link, password=password)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert open_ones(app, acme)
    with app.app_context(), transaction() as session:
        assert session.scalar(select(User).where(User.email == stranger)) is None


def test_a_member_of_another_organization_joins_with_one_button(
    app: Flask, acme: Account, globex: Account, admin: ApiClient, sign_in: SignIn
) -> None:
    guest = sign_in(globex, Role.OWNER)
    email = email_of(app, guest.user_id)
    local, _, domain = email.partition("@")
    invite(admin, acme, f"{local}+acme@{domain}")
    link = link_to(app, f"{local}+acme@{domain}")
    anonymous = client_of(app).get(link)
    assert f'href="/login?next={link}"' in anonymous.text
    assert 'name="password"' not in anonymous.text
    assert "Password" not in guest.get(link).text
    assert post(guest, link).status_code == 303
    assert roles(app, acme)[guest.user_id] == "member"


def test_an_address_with_an_account_gets_no_second_one(
    app: Flask, acme: Account, admin: ApiClient, globex: Account
) -> None:
    invite(admin, acme, globex.email)
    link = link_to(app, globex.email)
    answer = post(client_of(app), link, password=PASSWORD)
    assert answer.status_code == 409
    assert "Sign in" in answer.text
    assert open_ones(app, acme)


def test_another_person_s_invitation_is_refused(
    app: Flask, acme: Account, admin: ApiClient, globex: Account, sign_in: SignIn, stranger: str
) -> None:
    invite(admin, acme, stranger)
    link, other = link_to(app, stranger), sign_in(globex)
    page = other.get(link)
    assert "Sign out" in page.text
    assert email_of(app, other.user_id) in page.text
    answer = post(other, link)
    assert answer.status_code == 403
    assert open_ones(app, acme)
    assert other.user_id not in roles(app, acme)


def test_who_is_in_already_is_not_invited(app: Flask, acme: Account, admin: ApiClient) -> None:
    local, _, domain = email_of(app, admin.user_id).partition("@")
    for email in (f"{local}@{domain}", f"{local}+x@{domain}"):
        assert invite(admin, acme, email) == 409
    assert open_ones(app, acme) == []


def test_who_joined_meanwhile_keeps_their_role(app: Flask, acme: Account, admin: ApiClient) -> None:
    email = email_of(app, admin.user_id)
    token = add_invitation(app, acme, email)
    assert post(admin, f"/invitations/{token}").status_code == 303
    assert roles(app, acme)[admin.user_id] == "admin"
    assert open_ones(app, acme) == []


@pytest.mark.parametrize("email", ["", "nobody", "a@b@c.example", "x" * 250 + "@example.com"])
def test_what_is_no_address_is_refused_at_the_field(
    app: Flask, acme: Account, admin: ApiClient, email: str
) -> None:
    answer = post(admin, f"{acme.home}/team/invitations", email=email, role="member")
    assert answer.status_code == 400
    assert 'id="field-email-error"' in answer.text


@pytest.mark.parametrize("role", ["owner", "staff", ""])
def test_nobody_is_invited_as_an_owner(
    app: Flask, acme: Account, admin: ApiClient, sign_in: SignIn, stranger: str, role: str
) -> None:
    for client in (admin, sign_in(acme, Role.OWNER)):
        assert invite(client, acme, stranger, role) == 400
    assert open_ones(app, acme) == []


@on_both_databases
def test_inviting_again_sends_another_link_and_ends_the_first(
    app: Flask, acme: Account, admin: ApiClient, stranger: str, clock: Clock
) -> None:
    invite(admin, acme, stranger)
    first = link_to(app, stranger)
    assert invite(admin, acme, stranger) == 303, "the form was sent twice"
    assert link_to(app, stranger) == first
    assert invite(admin, acme, stranger, "admin") == 429
    clock.advance(seconds=61)
    assert invite(admin, acme, stranger, "admin") == 303
    assert open_ones(app, acme) == [(stranger, "admin")]
    assert client_of(app).get(first).status_code == 404
    assert client_of(app).get(link_to(app, stranger)).status_code == 200


def test_an_invitation_is_sent_again_and_revoked(
    app: Flask, acme: Account, admin: ApiClient, stranger: str, clock: Clock
) -> None:
    invite(admin, acme, stranger)
    with app.app_context(), transaction(acme.org_id) as session:
        path = f"{acme.home}/team/invitations/{invitations.all_of(session)[0].id}"
    assert post(admin, f"{path}/resend").status_code == 429
    clock.advance(days=8)
    first = link_to(app, stranger)
    assert client_of(app).get(first).status_code == 404
    assert "Member, expired" in admin.get(f"{acme.home}/team").text
    assert post(admin, f"{path}/resend").status_code == 303
    link = link_to(app, stranger)
    assert link != first
    assert post(admin, f"{path}/revoke").status_code == 303
    assert client_of(app).get(link).status_code == 404
    assert len(mails_to(app, stranger)) == 2
    actions = [action for action, _ in audited(app, acme)][-3:]
    assert actions == ["invitation.sent", "invitation.sent", "invitation.revoked"]


def test_an_invitation_ends_after_seven_days(
    app: Flask, acme: Account, admin: ApiClient, stranger: str, clock: Clock
) -> None:
    invite(admin, acme, stranger)
    link = link_to(app, stranger)
    clock.advance(days=7, seconds=-5)
    assert client_of(app).get(link).status_code == 200
    clock.advance(seconds=10)
    assert post(client_of(app), link, password=PASSWORD).status_code == 404


def test_expired_invitations_go_after_a_month(app: Flask, acme: Account, clock: Clock) -> None:
    add_invitation(app, acme)
    container = app.extensions["lightwell"]
    for days, left in ((36, 1), (2, 0)):
        clock.advance(days=days)
        with app.app_context():
            sweep.sweep(container.storage, container.settings.spool_dir, clock())
            with transaction(acme.org_id) as session:
                assert len(session.scalars(select(Invitation)).all()) == left


def test_fifty_are_open_at_most(
    app: Flask,
    acme: Account,
    admin: ApiClient,
    stranger: str,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(invitations, "MOST_OPEN", 2)
    for _ in range(2):
        add_invitation(app, acme)
    answer = post(admin, f"{acme.home}/team/invitations", email=stranger, role="member")
    assert answer.status_code == 409
    assert "Revoke some" in answer.text
    assert mails_to(app, stranger) == []
    clock.advance(days=8)
    assert invite(admin, acme, stranger) == 303, "expired ones are not open"


def test_mails_of_a_day_are_limited(
    app: Flask, acme: Account, admin: ApiClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations, "MOST_MAILS_A_DAY", 2)
    statuses = [invite(admin, acme, f"{uuid4().hex}@example.com") for _ in range(3)]
    assert statuses == [303, 303, 429]
    clock.advance(days=1, minutes=1)
    assert invite(admin, acme, f"{uuid4().hex}@example.com") == 303


def test_organizations_together_send_an_address_five_invitations_an_hour(
    app: Flask, acme: Account, globex: Account, sign_in: SignIn, stranger: str
) -> None:
    """Also if they revoke it and invite again."""
    statuses = []
    for account in (acme, globex) * 3:
        admin, team = sign_in(account, Role.ADMIN), f"{account.home}/team"
        statuses.append(invite(admin, account, stranger))
        for invitation_id in re.findall("invite_[a-z0-9]+", admin.get(team).text):
            post(admin, f"{team}/invitations/{invitation_id}/revoke")
    assert statuses == [303] * 5 + [429]
    assert len(mails_to(app, stranger)) == 5


def test_the_page_of_a_stranger_shows_names_as_text(
    app: Flask, acme: Account, admin: ApiClient, stranger: str
) -> None:
    with app.app_context(), transaction() as session:
        session.get_one(User, admin.user_id).name = "<script>"
    invite(admin, acme, stranger)
    page = client_of(app).get(link_to(app, stranger))
    assert "<script>" not in page.text.replace("<script src", "")
    assert "<script> invited" in text_of(page)


def test_tokens_are_not_logged_and_not_stored(
    app: Flask, acme: Account, admin: ApiClient, stranger: str, caplog: pytest.LogCaptureFixture
) -> None:
    invite(admin, acme, stranger)
    link = link_to(app, stranger)
    caplog.set_level("INFO")
    client_of(app).get(link)
    token = link.rpartition("/")[2]
    assert token not in caplog.text
    with app.app_context(), transaction(acme.org_id) as session:
        assert session.scalars(select(Invitation)).one().digest != token
