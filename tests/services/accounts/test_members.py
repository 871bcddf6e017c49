"""Services ask for the role themselves, and for the one that holds at that moment."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask import Flask

from app.errors import NotFound, RoleTooLow
from app.extensions import transaction
from app.models import Role
from app.services.accounts import invitations, members, organizations, permissions
from app.services.accounts.permissions import Action
from app.services.accounts.principal import Principal
from app.tenancy import TenantSession
from tests.clock import NOON
from tests.conftest import Account
from tests.databases import on_both_databases
from tests.team import add_invitation, add_member, principal_of, roles

SITE = "https://lightwell.example.com"


@dataclass(frozen=True)
class Others:
    """Whom and what the services are called about."""

    user_id: str
    invitation_id: str


Call = Callable[[TenantSession, Principal, Others], object]
CALLS: dict[str, tuple[Action, Call]] = {
    "invite": (
        Action.MANAGE_TEAM,
        lambda session, who, _: invitations.invite(
            session, who, "new@example.com", Role.VIEWER, SITE, NOON
        ),
    ),
    "resend": (
        Action.MANAGE_TEAM,
        lambda session, who, others: invitations.resend(
            session, who, others.invitation_id, SITE, NOON
        ),
    ),
    "revoke": (
        Action.MANAGE_TEAM,
        lambda session, who, others: invitations.revoke(session, who, others.invitation_id, NOON),
    ),
    "change a role": (
        Action.MANAGE_TEAM,
        lambda session, who, others: members.change_role(
            session, who, others.user_id, "viewer", SITE, NOON
        ),
    ),
    "remove": (
        Action.MANAGE_TEAM,
        lambda session, who, others: members.remove(session, who, others.user_id, NOON),
    ),
    "make an owner": (
        Action.TRANSFER,
        lambda session, who, others: members.make_owner(
            session, who, others.user_id, NOON, steps_down=False, site=SITE
        ),
    ),
    "rename": (
        Action.RENAME,
        lambda session, who, _: organizations.rename(session, who, "Mine", "mine-only", NOON),
    ),
}


@pytest.fixture
def others(app: Flask, acme: Account) -> Others:
    return Others(add_member(app, acme), add_invitation(app, acme))


@pytest.mark.parametrize("name", CALLS)
def test_a_role_that_is_too_low_is_refused(
    app: Flask, acme: Account, others: Others, name: str
) -> None:
    action, call = CALLS[name]
    too_low = [role for role in Role if not permissions.may(role, action)]
    assert too_low
    before = roles(app, acme)
    for role in too_low:
        who = add_member(app, acme, role)
        before[who] = role
        principal = principal_of(app, acme, who)
        with app.app_context(), pytest.raises(RoleTooLow), transaction(acme.org_id) as session:
            call(session, principal, others)
    assert roles(app, acme) == before


@on_both_databases
@pytest.mark.parametrize("name", CALLS)
def test_a_role_that_was_lost_meanwhile_does_not_count(
    app: Flask, acme: Account, others: Others, name: str
) -> None:
    who = add_member(app, acme, Role.OWNER)
    stale = principal_of(app, acme, who)
    with app.app_context():
        with transaction(acme.org_id) as session:
            members.leave(session, stale, NOON)
        with pytest.raises(NotFound), transaction(acme.org_id) as session:
            CALLS[name][1](session, stale, others)
