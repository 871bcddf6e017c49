"""``GET /usage``."""

from datetime import UTC, datetime

import pytest

from tests.client import ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, KeyMaker
from tests.databases import on_both_databases
from tests.images import encoded


@on_both_databases
def test_a_new_account_has_used_nothing(
    client: ApiClient, make_account: AccountMaker, clock: Clock
) -> None:
    clock.set(datetime(2026, 6, 17, 12, tzinfo=UTC))
    answer = client.get("/usage", headers=bearer(make_account(plan="FREE").key))
    assert answer.json == {
        "plan": "FREE",
        "used": 0,
        "limit": 100,
        "remaining": 100,
        "resetDate": "2026-07-01",
    }


@pytest.mark.parametrize(
    ("now", "reset"),
    [
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), "2027-01-01"),
        (datetime(2028, 2, 29, tzinfo=UTC), "2028-03-01"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-02-01"),
    ],
)
def test_the_month_ends_in_utc(
    client: ApiClient, acme: Account, clock: Clock, now: datetime, reset: str
) -> None:
    clock.set(now)
    assert client.get("/usage", headers=bearer(acme.key)).json["resetDate"] == reset


@on_both_databases
def test_a_new_month_begins_at_zero(
    client: ApiClient, make_account: AccountMaker, clock: Clock
) -> None:
    account = make_account(plan="FREE", requests_per_second=100)
    clock.set(datetime(2026, 6, 30, 23, 50, tzinfo=UTC))
    client.compress(account.key, encoded())
    assert client.get("/usage", headers=bearer(account.key)).json["used"] == 1
    clock.set(datetime(2026, 7, 1, 0, 0, 1, tzinfo=UTC))
    assert client.get("/usage", headers=bearer(account.key)).json["used"] == 0


def test_without_a_limit_it_says_null(client: ApiClient, acme: Account) -> None:
    body = client.get("/usage", headers=bearer(acme.key)).json
    assert (body["plan"], body["limit"], body["remaining"]) == ("ENTERPRISE", None, None)


@on_both_databases
def test_all_keys_of_an_organization_share_one_count(
    client: ApiClient, acme: Account, globex: Account, make_key: KeyMaker
) -> None:
    client.compress(acme.key, encoded())
    assert client.get("/usage", headers=bearer(make_key(acme))).json["used"] == 1
    assert client.get("/usage", headers=bearer(globex.key)).json["used"] == 0
