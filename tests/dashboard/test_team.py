"""The team page: who is there, changes of role, removal, leaving, ownership."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from flask import Flask

from app.extensions import transaction
from app.models import ApiKey, Mode, Organization, Role, User
from app.services import audit
from tests.client import Answer, ApiClient, bearer, client_of
from tests.clock import Clock
from tests.conftest import PATIENCE_SECONDS, Account, KeyMaker, SignIn
from tests.databases import on_both_databases, statements
from tests.forms import post, text_of
from tests.people import new_email
from tests.team import add_invitation, add_member, audited, email_of, link_to, mails_to, roles

SCRIPT = "<script>alert(1)</script>"
PAUSE_SECONDS = 0.5
"""The second one could be through after it, if the first one did not keep it out."""


@pytest.fixture
def owner(acme: Account, sign_in: SignIn) -> ApiClient:
    """Beside the owner who never signs in."""
    return sign_in(acme, Role.OWNER)


def team(account: Account) -> str:
    return f"{account.home}/team"


def rename_person(app: Flask, user_id: str, name: str) -> None:
    with app.app_context(), transaction() as session:
        session.get_one(User, user_id).name = name


def end_other_ownership(app: Flask, account: Account, owner: ApiClient) -> None:
    """Leave one owner."""
    for user_id, role in roles(app, account).items():
        if role == Role.OWNER and user_id != owner.user_id:
            assert post(owner, f"{team(account)}/{user_id}/remove").status_code == 303


def test_everyone_sees_who_is_there(app: Flask, acme: Account, sign_in: SignIn) -> None:
    viewer = sign_in(acme, Role.VIEWER)
    colleague = add_member(app, acme, Role.ADMIN, "Ada Byron")
    page = viewer.get(team(acme))
    assert page.status_code == 200
    assert "Ada Byron" in page.text
    assert email_of(app, colleague) in page.text
    assert "Not signed in" in page.text
    for hidden in ("Second factor", "Send invitation", "Manage"):
        assert hidden not in page.text


def test_admins_see_who_has_a_second_factor(app: Flask, acme: Account, sign_in: SignIn) -> None:
    admin = sign_in(acme, Role.ADMIN)
    page = admin.get(f"{team(acme)}/{admin.user_id}")
    assert ">On<" not in page.text
    with app.app_context(), transaction() as session:
        session.get_one(User, admin.user_id).totp_secret = "A" * 32
    for path in (team(acme), f"{team(acme)}/{admin.user_id}"):
        assert ">On<" in admin.get(path).text


@on_both_databases
def test_the_list_has_pages_and_is_searched(app: Flask, acme: Account, sign_in: SignIn) -> None:
    viewer = sign_in(acme, Role.VIEWER)
    for number in range(52):
        add_member(app, acme, Role.MEMBER, f"Colleague 100% {number:02}")
    first, second = viewer.get(team(acme)), viewer.get(f"{team(acme)}?page=2")
    assert "1–50 of 54" in first.text
    assert "51–54 of 54" in second.text
    names = [f"Colleague 100% {number:02}" for number in range(52)]
    assert all((name in first.text) is not (name in second.text) for name in names)
    found = viewer.get(f"{team(acme)}?q=COLLEAGUE+100%25+07")
    assert "1 person found" in found.text
    assert "Colleague 100% 08" not in found.text
    for wildcard in ("Colleague%25", "_", "%25@"):
        assert "Nobody's name" in text_of(viewer.get(f"{team(acme)}?q={wildcard}"))
    for odd in ("page=0", "page=-1", "page=x", "page=99999999999999999999", f"q={'x' * 3000}"):
        assert viewer.get(f"{team(acme)}?{odd}").status_code == 200


def statements_of(app: Flask, client: ApiClient, path: str) -> int:
    with statements(app) as sent:
        assert client.get(path).status_code == 200
    return len(sent)


def test_the_page_takes_as_many_statements_for_many_people_as_for_few(
    app: Flask, acme: Account, owner: ApiClient
) -> None:
    owner.get(team(acme))  # what the first visit writes
    few = statements_of(app, owner, team(acme))
    for _ in range(20):
        add_member(app, acme)
        add_invitation(app, acme)
    assert statements_of(app, owner, team(acme)) == few


def test_a_role_is_changed_and_holds_from_the_next_click_on(
    app: Flask, acme: Account, sign_in: SignIn, owner: ApiClient
) -> None:
    member = sign_in(acme, Role.MEMBER)
    path = f"{team(acme)}/{member.user_id}/role"
    assert post(owner, path, role="admin").status_code == 303
    assert member.get(f"{team(acme)}/{owner.user_id}").status_code == 200
    assert post(owner, path, role="viewer").status_code == 303
    assert member.get(f"{team(acme)}/{owner.user_id}").status_code == 403
    email = email_of(app, member.user_id)
    changes = [after for action, after in audited(app, acme) if action == "member.role_changed"]
    assert changes == [{"member": email, "role": role} for role in ("admin", "viewer")]
    assert [mail.subject.partition(" in ")[0] for mail in mails_to(app, email)] == [
        "You are admin",
        "You are viewer",
    ]
    assert post(owner, path, role="viewer").status_code == 303
    assert len(mails_to(app, email)) == 2, "nothing changed"


@pytest.mark.parametrize("role", ["owner", "staff", "", "ADMIN"])
@pytest.mark.parametrize("actor", [Role.ADMIN, Role.OWNER])
def test_the_form_of_roles_makes_no_owners(
    app: Flask, acme: Account, sign_in: SignIn, actor: Role, role: str
) -> None:
    client, colleague = sign_in(acme, actor), add_member(app, acme)
    for user_id in (colleague, client.user_id):
        before = roles(app, acme)
        path = f"{team(acme)}/{user_id}/role"
        assert post(client, path, role=role, staff_role="admin", org_id="x").status_code == 400
        assert roles(app, acme) == before


def test_admins_do_not_touch_owners(app: Flask, acme: Account, sign_in: SignIn) -> None:
    admin, owner = sign_in(acme, Role.ADMIN), add_member(app, acme, Role.OWNER)
    before = roles(app, acme)
    assert post(admin, f"{team(acme)}/{owner}/role", role="viewer").status_code == 403
    assert post(admin, f"{team(acme)}/{owner}/remove").status_code == 403
    for user_id in (owner, admin.user_id):
        assert post(admin, f"{team(acme)}/{user_id}/owner").status_code == 403
    assert roles(app, acme) == before
    page = admin.get(f"{team(acme)}/{owner}").text
    assert "Change role" not in page
    assert "/remove" not in page


def test_a_removed_member_is_out_at_once_and_their_keys_stay(
    app: Flask, acme: Account, sign_in: SignIn, owner: ApiClient, make_key: KeyMaker
) -> None:
    member, key = sign_in(acme), make_key(acme, Mode.TEST, "test_")
    with app.app_context(), transaction() as session:
        session.query(ApiKey).filter_by(last4=key[-4:]).one().created_by = member.user_id
    assert member.get(team(acme)).status_code == 200
    email = email_of(app, member.user_id)
    assert post(owner, f"{team(acme)}/{member.user_id}/remove").status_code == 303
    assert member.get(team(acme)).status_code == 404
    assert member.get("/usage", headers=bearer(key)).status_code == 200
    assert ("member.removed", {"member": None, "role": None}) in audited(app, acme)
    assert mails_to(app, email)[-1].subject.startswith("You were removed")
    assert post(owner, f"{team(acme)}/{member.user_id}/remove").status_code == 404


@on_both_databases
@pytest.mark.parametrize("how", ["remove", "role"])
def test_who_may_not_invite_any_more_has_no_way_back_in(
    app: Flask, acme: Account, sign_in: SignIn, owner: ApiClient, how: str
) -> None:
    """By an invitation to another address of theirs."""
    rogue, second = sign_in(acme, Role.ADMIN), new_email()
    post(rogue, f"{team(acme)}/invitations", email=second, role="admin")
    post(owner, f"{team(acme)}/invitations", email=new_email(), role="member")
    post(owner, f"{team(acme)}/{rogue.user_id}/{how}", role="member")
    assert client_of(app).get(link_to(app, second)).status_code == 404
    assert owner.get(team(acme)).text.count("/revoke") == 1
    assert ("invitation.revoked", {"email": None, "role": None}) in audited(app, acme)


def test_people_leave(app: Flask, acme: Account, sign_in: SignIn) -> None:
    viewer = sign_in(acme, Role.VIEWER)
    answer = post(viewer, f"{team(acme)}/leave")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/dashboard")
    assert viewer.user_id not in roles(app, acme)
    assert audited(app, acme)[-1][0] == "member.left"
    assert viewer.get(team(acme)).status_code == 404


def test_the_last_owner_stays(app: Flask, acme: Account, owner: ApiClient) -> None:
    assert "Leave organization" in owner.get(team(acme)).text
    end_other_ownership(app, acme, owner)
    page = text_of(owner.get(team(acme)))
    assert "Leave organization" not in page
    assert "You are the only owner, so you can't leave." in page
    before = roles(app, acme)
    own = f"{team(acme)}/{owner.user_id}"
    for answer in (
        post(owner, f"{team(acme)}/leave"),
        post(owner, f"{own}/remove"),
        post(owner, f"{own}/role", role="admin"),
        post(owner, f"{own}/owner", step_down="1"),
    ):
        assert answer.status_code == 409
        assert "else" in answer.text, "it says what to do"
    assert roles(app, acme) == before


def leave_together(
    app: Flask, account: Account, monkeypatch: pytest.MonkeyPatch, *clients: ApiClient
) -> list[Answer]:
    """The second one asks while the first one's transaction waits at its end."""
    record, is_in, is_through = audit.record, Event(), Event()

    def slow(*arguments: Any, **named: Any) -> None:
        if is_in.is_set():
            is_through.set()
        else:
            is_in.set()
            is_through.wait(PAUSE_SECONDS)
        record(*arguments, **named)

    for client in clients:
        client.get(team(account))  # what the first visit writes would make the second one wait
    monkeypatch.setattr(audit, "record", slow)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(post, clients[0], f"{team(account)}/leave")
        assert is_in.wait(PATIENCE_SECONDS)
        second = threads.submit(post, clients[1], f"{team(account)}/leave")
        return [first.result(PATIENCE_SECONDS), second.result(PATIENCE_SECONDS)]


@on_both_databases
def test_of_two_owners_who_leave_at_the_same_time_one_stays(
    app: Flask, acme: Account, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = sign_in(acme, Role.OWNER), sign_in(acme, Role.OWNER)
    for user_id in set(roles(app, acme)) - {one.user_id, other.user_id}:
        assert post(one, f"{team(acme)}/{user_id}/remove").status_code == 303
    answers = leave_together(app, acme, monkeypatch, one, other)
    assert [answer.status_code for answer in answers] == [303, 409]
    assert roles(app, acme) == {other.user_id: "owner"}


def test_an_owner_hands_over(
    app: Flask, acme: Account, sign_in: SignIn, owner: ApiClient, clock: Clock
) -> None:
    member = sign_in(acme)
    path = f"{team(acme)}/{member.user_id}/owner"
    assert post(owner, path).status_code == 303
    assert roles(app, acme)[member.user_id] == roles(app, acme)[owner.user_id] == "owner"
    assert post(owner, path, step_down="1").status_code == 303
    assert roles(app, acme)[owner.user_id] == "admin"
    for told in (acme.email, email_of(app, owner.user_id), email_of(app, member.user_id)):
        subjects = [mail.subject for mail in mails_to(app, told)]
        assert sum("is an owner of" in subject for subject in subjects) == 2
    assert post(owner, path).status_code == 403


def test_handing_over_asks_for_the_password_again(
    app: Flask, acme: Account, owner: ApiClient, clock: Clock
) -> None:
    member = add_member(app, acme)
    clock.advance(minutes=11)
    answer = post(owner, f"{team(acme)}/{member}/owner")
    assert answer.headers["Location"].startswith("/login/again?")
    assert roles(app, acme)[member] == "member"


def test_names_are_text_on_every_page_and_in_every_mail(
    app: Flask, acme: Account, owner: ApiClient
) -> None:
    member = add_member(app, acme, Role.MEMBER, SCRIPT)
    rename_person(app, owner.user_id, SCRIPT)
    with app.app_context(), transaction() as session:
        session.get_one(Organization, acme.org_id).name = SCRIPT
    email, invited = email_of(app, member), new_email()
    post(owner, f"{team(acme)}/invitations", email=invited, role="viewer")
    post(owner, f"{team(acme)}/{member}/role", role="admin")
    post(owner, f"{team(acme)}/{member}/owner")
    pages = [owner.get(team(acme)), owner.get(f"{team(acme)}/{member}")]
    post(owner, f"{team(acme)}/{member}/remove")
    letters = mails_to(app, email) + mails_to(app, invited)
    assert len(letters) == 4
    for html in [page.text for page in pages] + [str(letter.html) for letter in letters]:
        assert SCRIPT not in html
        assert "&lt;script&gt;" in html


def test_who_is_seen_last_and_since_when(acme: Account, owner: ApiClient, clock: Clock) -> None:
    joined = clock()
    clock.advance(days=3)
    page = owner.get(team(acme)).text
    seen = f"{joined + timedelta(days=3):%Y-%m-%dT%H:%M}"
    assert f'datetime="{joined:%Y-%m-%dT%H:%M}' in page
    assert f'datetime="{seen}' in page
