"""What staff do to accounts, and to which ones they may."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.errors import AppError, Conflict, Forbidden
from app.extensions import transaction
from app.models import AuditEntry, Invitation, Mail, StaffRole, User
from app.services.accounts import security, sign_ins
from app.services.outbox import LEASE
from app.services.staff import roles
from app.services.staff.protection import person_to_change
from tests.admin.conftest import StaffMaker
from tests.admin.people import give_factors, make_invitation, make_mail, make_person
from tests.client import ApiClient
from tests.clock import Clock
from tests.conftest import Account
from tests.databases import on_both_databases
from tests.people import PASSWORD, last_link, mails_to, send, sign_in, user_with, visitor_of
from tests.staff import REASON, SAME_SITE, act, log_of

ACTIONS = ("confirm", "second-factor/reset", "sessions/end", "throttle/release",
           "mails/confirmation", "mails/reset", "mails/{mail}/try", "staff-role")  # fmt: skip
SITE = "https://lightwell.example.com"


def sessions_of(app: Flask, user_id: str, clock: Clock) -> int:
    with app.app_context(), transaction() as session:
        return len(sign_ins.list_of(session, user_id, clock()))


@on_both_databases
def test_an_address_is_confirmed(app: Flask, staff: ApiClient) -> None:
    person = make_person(app, confirmed_at=None)
    path = f"/admin/users/{person.user_id}/confirm"
    answer = act(staff, path)
    assert (answer.status_code, answer.location) == (303, f"/admin/users/{person.user_id}")
    assert user_with(app, person.email).confirmed_at
    (entry,) = log_of(app, staff)
    assert (entry.action, entry.subject, entry.reason) == (
        "user.confirmed", person.user_id, REASON,
    )  # fmt: skip
    assert act(staff, path).status_code == 409
    assert len(log_of(app, staff)) == 1


@on_both_databases
@pytest.mark.parametrize("has_password", [True, False])
def test_a_second_factor_is_reset(
    app: Flask, staff: ApiClient, clock: Clock, has_password: bool
) -> None:
    """All of it, with the sessions; who has no password finds a way in in the mail."""
    changes = {} if has_password else {"password_hash": None}
    person = make_person(app, **changes)
    give_factors(app, person.user_id)
    answer = act(staff, f"/admin/users/{person.user_id}/second-factor/reset")
    assert answer.status_code == 303
    with app.app_context(), transaction() as session:
        left = security.of(session, person.user_id)
    assert not left.has_second_factor
    assert left.recovery_codes_left == 0
    assert sessions_of(app, person.user_id, clock) == 0
    (mail,) = mails_to(app, person.email)
    assert mail.subject == "Your second factor was reset"
    (entry,) = log_of(app, staff)
    assert entry.before == {"app": True, "passkeys": 1}
    visitor = visitor_of(app)
    if not has_password:
        link = last_link(app, person.email)
        assert send(visitor, link, password=PASSWORD).status_code == 303
        visitor = visitor_of(app)
    assert sign_in(visitor, person.email).status_code == 303
    assert visitor.get("/account").status_code == 200
    assert act(staff, f"/admin/users/{person.user_id}/second-factor/reset").status_code == 409


def test_what_is_very_dangerous_asks_for_the_password_again(
    app: Flask, staff: ApiClient, clock: Clock
) -> None:
    person = make_person(app)
    give_factors(app, person.user_id)
    clock.advance(minutes=11)
    for path, fields in (("second-factor/reset", {}), ("staff-role", {"role": "support"})):
        answer = act(staff, f"/admin/users/{person.user_id}/{path}", **fields)
        assert answer.status_code == 303
        assert answer.location.startswith("/login/again")
    assert not log_of(app, staff)


def test_all_sessions_end(app: Flask, staff: ApiClient, clock: Clock) -> None:
    person = make_person(app)
    assert act(staff, f"/admin/users/{person.user_id}/sessions/end").status_code == 303
    assert sessions_of(app, person.user_id, clock) == 0
    (entry,) = log_of(app, staff)
    assert (entry.before, entry.after) == ({"sessions": 1}, {"sessions": 0})


def test_a_throttle_is_seen_and_taken_off(app: Flask, staff: ApiClient) -> None:
    """From strangers' networks and from the person's own; the network's own count stays."""
    person = make_person(app)
    own, stranger = visitor_of(app), visitor_of(app)
    assert sign_in(own, person.email).status_code == 303
    for guesser in (own, stranger):
        send(guesser, "/logout")
        for _ in range(11):
            sign_in(guesser, person.email, "a wrong one")
        assert sign_in(guesser, person.email).status_code == 429
    for _ in range(6):
        send(stranger, "/forgot", email=person.email)
    page = staff.get(f"/admin/users/{person.user_id}").text
    assert "passwords from elsewhere: 10, waits" in page
    assert "passwords from 2001:db8:" in page
    assert "mails asked for in this hour: 6" in page
    assert act(staff, f"/admin/users/{person.user_id}/throttle/release").status_code == 303
    page = staff.get(f"/admin/users/{person.user_id}").text
    assert "Nothing counted" in page
    assert sign_in(visitor_of(app), person.email).status_code == 303
    before = len(mails_to(app, person.email))
    send(visitor_of(app), "/forgot", email=person.email)
    assert len(mails_to(app, person.email)) == before + 1
    (entry,) = log_of(app, staff)
    assert "passwords from elsewhere: 10" in entry.before["counted"]


@on_both_databases
def test_mails_are_sent_again(app: Flask, staff: ApiClient) -> None:
    person = make_person(app, confirmed_at=None, password_hash=None)
    path = f"/admin/users/{person.user_id}/mails"
    act(staff, f"{path}/confirmation")
    assert last_link(app, person.email).startswith("/confirm/")
    act(staff, f"{path}/reset")
    assert last_link(app, person.email).startswith("/reset/")
    act(staff, f"/admin/users/{person.user_id}/confirm")
    assert act(staff, f"{path}/confirmation").status_code == 409
    actions = [entry.action for entry in log_of(app, staff)]
    assert actions == ["user.confirmation_sent", "user.reset_sent", "user.confirmed"]


@on_both_databases
def test_a_mail_that_failed_is_tried_at_once(app: Flask, staff: ApiClient, clock: Clock) -> None:
    """But for what is over, what is being sent, and what is somebody else's."""
    person, other = make_person(app), make_person(app)
    mail = make_mail(app, person.email)
    path = f"/admin/users/{person.user_id}/mails"
    assert act(staff, f"{path}/{mail}/try").status_code == 303
    with app.app_context(), transaction() as session:
        due = session.get_one(Mail, mail).next_attempt_at
        assert due
        assert due < clock()
    refused = {
        make_mail(app, person.email, next_attempt_at=clock() + LEASE): 409,
        make_mail(app, person.email, next_attempt_at=None, sent_at=clock()): 409,
        make_mail(app, person.email, next_attempt_at=None): 409,
        make_mail(app, other.email): 404,
        "mail_none": 404,
    }
    for mail_id, status in refused.items():
        assert act(staff, f"{path}/{mail_id}/try").status_code == status
    (entry,) = log_of(app, staff)
    assert entry.after == {"mail": mail, "about": "A plan has changed"}


@on_both_databases
def test_an_invitation_is_sent_again_in_its_sender_s_name(
    app: Flask, acme: Account, globex: Account, staff: ApiClient, clock: Clock
) -> None:
    person = make_person(app)
    invitation_id = make_invitation(app, acme, person.email)
    path = f"/admin/organizations/{acme.org_id}/invitations/{invitation_id}/resend"
    answer = act(staff, path, back=person.user_id)
    assert answer.location == f"/admin/users/{person.user_id}"
    (mail,) = mails_to(app, person.email)
    assert acme.email in (mail.text or "")  # who has no name is named by the address
    with app.app_context(), transaction(acme.org_id) as session:
        invitation = session.scalars(select(Invitation)).one()
        left = invitation.expires_at - clock()
        assert timedelta(days=6, hours=23) < left < timedelta(days=7)
        audited = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert audited
    assert (audited.action, audited.actor_kind) == ("invitation.sent", "staff")
    assert audited.address is None
    assert act(staff, path).status_code == 429  # a minute has not passed
    clock.advance(minutes=2)
    foreign = path.replace(acme.org_id, globex.org_id)
    assert act(staff, foreign).status_code == 404
    assert act(staff, path, back="//evil.example").location == (
        f"/admin/organizations/{acme.org_id}"
    )
    assert [entry.org_id for entry in log_of(app, staff)] == [acme.org_id] * 2


@pytest.mark.parametrize("action", ACTIONS)
def test_on_accounts_of_staff_only_another_admin_acts(
    app: Flask, make_staff: StaffMaker, action: str
) -> None:
    """Nobody on their own."""
    target = make_person(app, staff_role=StaffRole.BILLING)
    support, admin = make_staff(StaffRole.SUPPORT), make_staff()
    with app.app_context(), transaction() as session:
        own = session.get_one(User, admin.user_id).email
    action_of = {email: action.format(mail=make_mail(app, email)) for email in (target.email, own)}
    fields = {"role": "support"}
    path = f"/admin/users/{target.user_id}/{action_of[target.email]}"
    assert act(support, path, **fields).status_code == 403
    mine = f"/admin/users/{admin.user_id}/{action_of[own]}"
    assert act(admin, mine, **fields).status_code == 403
    for client in (support, admin):
        assert not log_of(app, client)
    if action in ("confirm", "mails/confirmation"):
        user_with(app, target.email)
        with app.app_context(), transaction() as session:
            session.change(update(User).where(User.id == target.user_id).values(confirmed_at=None))
    give_factors(app, target.user_id)
    assert act(admin, path, **fields).status_code == 303
    assert len(log_of(app, admin)) == 1


@pytest.mark.parametrize("action", ACTIONS)
def test_nothing_happens_without_a_reason_or_to_nobody(
    app: Flask, staff: ApiClient, action: str
) -> None:
    person = make_person(app, confirmed_at=None)
    path = f"/admin/users/{person.user_id}/{action.format(mail='mail_none')}"
    refused = staff.post(path, data={"role": "support", "reason": " x "}, headers=SAME_SITE)
    assert refused.status_code == 400
    nobody = f"/admin/users/user_nobody/{action.format(mail='mail_none')}"
    assert act(staff, nobody, role="support").status_code == 404
    assert not log_of(app, staff)


def test_support_gives_no_roles(app: Flask, make_staff: StaffMaker) -> None:
    person = make_person(app)
    for role in (StaffRole.SUPPORT, StaffRole.BILLING):
        client = make_staff(role)
        path = f"/admin/users/{person.user_id}/staff-role"
        assert act(client, path, role="support").status_code == 403
        assert not log_of(app, client)


@on_both_databases
def test_roles_are_given_changed_and_taken_away(app: Flask, staff: ApiClient, clock: Clock) -> None:
    person = make_person(app)
    path = f"/admin/users/{person.user_id}/staff-role"
    for role, subject in (
        ("support", "You are support in Lightwell's staff console now"),
        ("admin", "You are admin in Lightwell's staff console now"),
        ("none", "You are not staff at Lightwell any more"),
    ):
        assert act(staff, path, role=role).status_code == 303
        assert user_with(app, person.email).staff_role == (None if role == "none" else role)
        assert mails_to(app, person.email)[-1].subject == subject
        assert sessions_of(app, person.user_id, clock) == 0
        assert act(staff, path, role=role).status_code == 409  # they have it
    assert act(staff, path, role="owner").status_code == 400
    shown = [(entry.before["role"], entry.after["role"]) for entry in log_of(app, staff)]
    assert shown == [("none", "support"), ("support", "admin"), ("admin", "none")]
    unconfirmed = make_person(app, confirmed_at=None)
    assert (
        act(staff, f"/admin/users/{unconfirmed.user_id}/staff-role", role="admin").status_code
        == 409
    )


@pytest.fixture
def only_admins(app: Flask, make_staff: StaffMaker) -> Iterator[Callable[[int], list[ApiClient]]]:
    """Makes admins beside whom there is no other; the others get their role back."""
    with app.app_context(), transaction() as session:
        held = session.scalars(select(User.id).where(User.staff_role == StaffRole.ADMIN)).all()
        session.change(update(User).where(User.id.in_(held)).values(staff_role=None))
    yield lambda number: [make_staff() for _ in range(number)]
    with app.app_context(), transaction() as session:
        session.change(update(User).where(User.id.in_(held)).values(staff_role=StaffRole.ADMIN))


def admins(app: Flask) -> set[str]:
    with app.app_context(), transaction() as session:
        return set(session.scalars(select(User.id).where(User.staff_role == StaffRole.ADMIN)))


@on_both_databases
def test_the_last_admin_stays(
    app: Flask, only_admins: Callable[[int], list[ApiClient]], clock: Clock
) -> None:
    one, other = only_admins(2)
    assert act(one, f"/admin/users/{one.user_id}/staff-role", role="none").status_code == 403
    assert act(one, f"/admin/users/{other.user_id}/staff-role", role="billing").status_code == 303
    with app.app_context(), pytest.raises(Conflict, match="last admin"), transaction() as session:
        roles.set_role(session, one.user_id, None, SITE, clock())
    assert admins(app) == {one.user_id}


@on_both_databases
@pytest.mark.parametrize("_round", range(3))
def test_two_admins_who_take_each_other_s_role_leave_one(
    app: Flask, only_admins: Callable[[int], list[ApiClient]], clock: Clock, _round: int
) -> None:
    one, other = only_admins(2)
    together = Barrier(2)

    def demote(pair: tuple[str, str]) -> bool:
        by, whom = pair
        with app.app_context():
            together.wait()
            try:
                with transaction() as session:
                    roles.set_role(session, whom, None, SITE, clock(), by=by)
            except AppError:
                return False
            return True

    pairs = [(one.user_id, other.user_id), (other.user_id, one.user_id)]
    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(demote, pairs))
    assert sorted(done) == [False, True]
    assert len(admins(app)) == 1


def test_a_person_who_became_staff_meanwhile_is_protected(
    app: Flask, context: None, make_staff: StaffMaker
) -> None:
    """The rule reads the row that it holds."""
    person = make_person(app)
    support = make_staff(StaffRole.SUPPORT)
    with transaction() as session:
        assert person_to_change(session, support.user_id, StaffRole.SUPPORT, person.user_id)
        is_theirs = update(User).where(User.id == person.user_id)
        session.change(is_theirs.values(staff_role=StaffRole.SUPPORT))
        with pytest.raises(Forbidden):
            person_to_change(session, support.user_id, StaffRole.SUPPORT, person.user_id)
