"""What the database refuses: another request's doing is a 409, our own mistake a 500 that is
logged."""

from collections.abc import Callable
from datetime import date
from traceback import format_exception

import pytest
from sqlalchemy import select, update

from app.models import ApiKey, Role, UsageCounter
from app.services.library import collections
from app.tenancy import TenantSession
from tests.client import Answer, ApiClient, bearer
from tests.conftest import Account, SignIn
from tests.databases import on_both_databases
from tests.services.billing.faults import told

pytestmark = on_both_databases


def twice_the_same_secret(session: TenantSession) -> None:
    secret = session.scalars(select(ApiKey.secret_sha256)).first()
    session.change(update(ApiKey).values(secret_sha256=secret))


def twice_the_same_primary_key(session: TenantSession) -> None:
    session.change(update(ApiKey).values(id="key_same"))


def of_an_organization_that_is_gone(session: TenantSession) -> None:
    session.change(update(ApiKey).values(org_id="org_gone"))


def without_a_name(session: TenantSession) -> None:
    session.change(update(ApiKey).values(name=None))


def fewer_than_none(session: TenantSession) -> None:
    session.add(UsageCounter(period=date(2026, 6, 1), used=-1, reserved=0))
    session.flush()


@pytest.fixture
def ask(
    client: ApiClient, acme: Account, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[TenantSession], None]], Answer]:
    """Send a request that breaks a rule of the database's."""

    def delete(break_the_rule: Callable[[TenantSession], None]) -> Answer:
        monkeypatch.setattr(collections, "delete", lambda session, _: break_the_rule(session))
        return client.delete("/api/v1/collections/any", headers=bearer(acme.key))

    return delete


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, BaseException]]:
    """Level, event and exception of what was said about it."""
    records = [record for record in caplog.records if record.name == "app.web.errors"]
    return [
        (record.levelname, told(record)["event"], told(record)["exc_info"]) for record in records
    ]


@pytest.mark.parametrize(
    "rule", [twice_the_same_secret, twice_the_same_primary_key, of_an_organization_that_is_gone]
)
def test_what_another_request_can_have_caused_is_a_409(
    ask: Callable[[Callable[[TenantSession], None]], Answer],
    caplog: pytest.LogCaptureFixture,
    rule: Callable[[TenantSession], None],
) -> None:
    answer = ask(rule)
    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    [(level, event, error)] = logged(caplog)
    assert (level, event) == ("WARNING", "conflict")
    assert "parameters hidden" in str(error), "parameters hold secrets"


@pytest.mark.parametrize("rule", [without_a_name, fewer_than_none])
def test_what_only_a_defect_can_have_caused_is_a_500_and_logged(
    ask: Callable[[Callable[[TenantSession], None]], Answer],
    caplog: pytest.LogCaptureFixture,
    rule: Callable[[TenantSession], None],
) -> None:
    answer = ask(rule)
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    [(level, event, error)] = logged(caplog)
    assert (level, event) == ("ERROR", "defect")
    assert rule.__name__ in "".join(format_exception(error))
    assert "constraint" not in answer.text.lower()


def test_a_nul_is_refused_wherever_a_page_takes_text(
    acme: Account, sign_in: SignIn, caplog: pytest.LogCaptureFixture
) -> None:
    owner = sign_in(acme, Role.OWNER)
    for path in (
        "/dashboard/a%00b",
        f"{acme.home}/keys/a%00b",
        f"{acme.home}/keys?before=a%00b",
        f"{acme.home}/team?q=a%00b",
        f"{acme.home}/team/a%00b",
    ):
        assert owner.get(path).status_code < 500, path
    assert not logged(caplog)
