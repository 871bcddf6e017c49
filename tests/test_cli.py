"""Commands for operators."""

import re

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from app.extensions import transaction
from app.models import User
from tests.client import bearer
from tests.databases import on_both_databases


@pytest.fixture
def run(app):
    def invoke(*arguments: str):
        return app.test_cli_runner().invoke(args=arguments)

    return invoke


@on_both_databases
def test_a_key_is_printed_alone_and_works(run, client) -> None:
    assert run("users", "create", "Operator@Example.com").exit_code == 0
    assert run("orgs", "set-plan", "operator@example.com", "team").exit_code == 0
    for mode, prefix in (("live", "ak_live_"), ("test", "test_")):
        printed = run("keys", "create", "operator@example.com", "--mode", mode).stdout
        assert re.fullmatch(rf"{prefix}[0-9A-Za-z]{{38}}\n", printed)
        assert client.get("/usage", headers=bearer(printed.strip())).json["plan"] == "TEAM"


def test_scopes_are_those_asked_for(run, client) -> None:
    run("users", "create", "scoped@example.com")
    key = run("keys", "create", "scoped@example.com", "--scopes", "read").stdout.strip()
    assert client.get("/usage", headers=bearer(key)).status_code == 200
    assert client.post("/billing/portal", headers=bearer(key)).status_code == 403
    refused = run("keys", "create", "scoped@example.com", "--scopes", "read,admin")
    assert refused.exit_code == 2
    assert "unknown scope admin" in refused.stderr


def test_staff_and_passwords(app, run) -> None:
    assert run("users", "create", "boss@example.com", "--password", "correct horse", "--staff").exit_code == 0
    with app.app_context(), transaction() as session:
        user = session.scalars(select(User).where(User.email == "boss@example.com")).one()
    assert user.is_staff
    assert PasswordHasher().verify(user.password_hash, "correct horse")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("users", "create", "nobody"), "not valid"),
        (("users", "create", "twice@example.com"), "already exists"),
        (("orgs", "set-plan", "missing@example.com", "TEAM"), "no account"),
        (("orgs", "set-plan", "twice@example.com", "GOLD"), "There is no plan GOLD. Plans: FREE"),
        (("orgs", "allow-host", "twice@example.com", "127.0.0.1"), "not the name of a host"),
        (("orgs", "allow-host", "twice@example.com", "localhost"), "not the name of a host"),
        (("keys", "create", "missing@example.com"), "no account"),
    ],
)
def test_refusals_are_a_sentence(run, arguments, message) -> None:
    run("users", "create", "twice@example.com")
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert message in refused.stderr
    assert "Traceback" not in refused.output


def test_sweep_says_what_it_did(run) -> None:
    said = run("sweep").stdout
    assert re.fullmatch(r"Released \d+ reservations\. Forgot .+\. Removed \d+ objects and \d+ work folders\.\n", said)
