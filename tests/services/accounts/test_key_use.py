"""When a key was last used: known to the minute, of that key alone."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from app.extensions import transaction
from app.models import ApiKey
from app.services.accounts import keys
from tests.clock import Clock
from tests.conftest import Account
from tests.databases import on_both_databases

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]


def last_used(account: Account) -> dict[str, datetime | None]:
    with transaction() as session:
        rows = session.scalars(select(ApiKey).where(ApiKey.org_id == account.org_id)).all()
    return {row.prefix: row.last_used_at for row in rows}


def test_the_use_of_one_key_is_not_another_s(acme: Account, globex: Account, clock: Clock) -> None:
    keys.authenticate(acme.key, clock())
    assert [bool(moment) for moment in sorted(last_used(acme).values(), key=bool)] == [False, True]
    assert set(last_used(globex).values()) == {None}


def test_it_says_from_where_and_for_which_call(acme: Account, clock: Clock) -> None:
    keys.authenticate(acme.key, clock(), address="192.0.2.1", call="GET /usage")
    keys.authenticate(acme.key, clock(), address="192.0.2.2", call="GET /later")
    clock.advance(minutes=1)
    keys.authenticate(acme.test_key, clock(), address="2001:db8::1", call="POST " + "x" * 200)
    with transaction() as session:
        rows = session.scalars(select(ApiKey).where(ApiKey.org_id == acme.org_id)).all()
    assert {(row.last_used_address, row.last_used_call) for row in rows} == {
        ("192.0.2.1", "GET /usage"),
        ("2001:db8::1", "POST " + "x" * 115),
    }


def test_it_is_written_once_a_minute(acme: Account, clock: Clock) -> None:
    first = clock()
    for after, noted in ((0, 0), (59, 0), (60, 60), (61, 60), (120, 120)):
        keys.authenticate(acme.key, first + timedelta(seconds=after))
        assert set(last_used(acme).values()) == {None, first + timedelta(seconds=noted)}
