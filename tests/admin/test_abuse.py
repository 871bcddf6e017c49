"""The page of who is refused."""

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import ConnectionError as RedisDown

from app.extensions import transaction
from app.models import Organization, StaffRole
from app.web import abuse_counts
from app.web.abuse_counts import Series
from tests.admin.conftest import StaffMaker
from tests.blocks import block, new_network
from tests.client import ApiClient
from tests.clock import Clock
from tests.conftest import Account
from tests.databases import statements
from tests.forms import text_of

PAGE = "/admin/abuse"


@pytest.fixture(autouse=True)
def redis(app: Flask) -> Redis:
    connection: Redis = app.extensions["lightwell"].redis
    if keys := connection.keys(f"{abuse_counts.PREFIX}:*"):
        connection.delete(*keys)
    return connection


def count(app: Flask, series: Series, name: str, times: int = 1) -> None:
    with app.app_context():
        abuse_counts.count([(series, name)], times)


def test_who_is_refused_stands_there_with_links(
    app: Flask, staff: ApiClient, acme: Account, clock: Clock
) -> None:
    name = "<b>Acme</b> & sons"
    with app.app_context(), transaction() as session:
        session.get_one(Organization, acme.org_id).name = name
    network = new_network()
    block(app, network)
    count(app, Series.HOSTILE_ORGANIZATIONS, acme.org_id, 1234)
    count(app, Series.REFUSED_ORGANIZATIONS, "org_gone", 5)
    count(app, Series.UNKNOWN_ADDRESSES, "203.0.113.7/32", 17)
    count(app, Series.LIMITED_ADDRESSES, network, 3)
    page = staff.get(PAGE)
    assert name in text_of(page)
    assert name not in page.text
    for told in (
        f'href="/admin/organizations/{acme.org_id}"', "1,234", "An organization that is gone",
        'href="/admin/abuse/blocks/new?value=203.0.113.7"',
    ):  # fmt: skip
        assert told in page.text
    assert "blocks/new?value=2001" not in page.text, "it is blocked already"
    form = staff.get("/admin/abuse/blocks/new?value=203.0.113.7")
    assert 'value="203.0.113.7"' in form.text


def test_the_hour_and_the_day(app: Flask, staff: ApiClient, clock: Clock) -> None:
    count(app, Series.UNKNOWN_ADDRESSES, "203.0.113.7/32")
    clock.advance(hours=3)
    assert "203.0.113.7" not in staff.get(PAGE).text
    assert "203.0.113.7" in staff.get(f"{PAGE}?period=day").text
    assert "203.0.113.7" not in staff.get(f"{PAGE}?period=year").text


def test_registrations_tell_how_much_is_used(
    app: Flask, staff: ApiClient, client: ApiClient, clock: Clock
) -> None:
    client.environ_base["REMOTE_ADDR"] = "203.0.113.99"
    assert client.post("/auth/register", json={"email": "nobody"}).status_code == 400
    page = text_of(staff.get(PAGE))
    assert "203.0.113.0/24" in page
    assert "1 of 100,000" in page


def test_one_statement_names_all_organizations(
    app: Flask, staff: ApiClient, acme: Account, clock: Clock
) -> None:
    def sent() -> int:
        with statements(app) as sent:
            assert staff.get(PAGE).status_code == 200
        return len(sent)

    sent()
    count(app, Series.REFUSED_ORGANIZATIONS, acme.org_id)
    with_one = sent()
    for number in range(15):
        count(app, Series.REFUSED_ORGANIZATIONS, f"org_{number}")
    assert sent() == with_one


def test_who_may_not_block_sees_no_button(app: Flask, make_staff: StaffMaker, clock: Clock) -> None:
    count(app, Series.UNKNOWN_ADDRESSES, "203.0.113.7/32")
    page = make_staff(StaffRole.BILLING).get(PAGE).text
    assert "203.0.113.7" in page
    assert "blocks/new" not in page


def test_without_redis_the_page_says_so(
    staff: ApiClient, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    def down(*_: object) -> None:
        raise RedisDown

    monkeypatch.setattr(abuse_counts, "top", down)
    page = staff.get(PAGE)
    assert page.status_code == 200
    assert "Redis does not answer" in page.text
