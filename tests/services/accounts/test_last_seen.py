"""When an organization was seen last: by its keys and its members, to the hour."""

from datetime import datetime, timedelta

import pytest

from app.extensions import transaction
from app.models import Organization, Role
from app.services.accounts import keys
from tests.clock import Clock
from tests.conftest import Account, SignIn
from tests.databases import on_both_databases

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]


def last_seen(account: Account) -> datetime | None:
    with transaction() as session:
        return session.get_one(Organization, account.org_id).last_seen_at


def test_a_key_is_noted_once_an_hour(acme: Account, globex: Account, clock: Clock) -> None:
    first = clock()
    for after, noted in ((0, 0), (59, 0), (60, 60), (119, 60), (121, 121)):
        keys.authenticate(acme.key, first + timedelta(minutes=after))
        assert last_seen(acme) == first + timedelta(minutes=noted)
    assert last_seen(globex) is None


def test_members_are_noted_and_who_only_signs_in_is_not(
    acme: Account, globex: Account, sign_in: SignIn, clock: Clock
) -> None:
    member = sign_in(acme, Role.VIEWER)
    member.get("/account")
    assert last_seen(acme) is None
    member.get(acme.home)
    assert member.get(globex.home).status_code == 404
    first = last_seen(acme)
    assert first
    assert clock() - first < timedelta(minutes=1)
    for after, later in ((30, 0), (31, 61)):
        clock.advance(minutes=after)
        member.get(acme.home)
        noted = last_seen(acme)
        assert noted
        assert (noted - first) // timedelta(minutes=1) == later
    assert last_seen(globex) is None
