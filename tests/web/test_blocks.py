"""Requests from a blocked network, and what they are refused from."""

import logging
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from flask import Flask
from flask_openapi import OpenAPI
from sqlalchemy.exc import OperationalError

from app.extensions import transaction
from app.models import Block
from app.services import blocks
from app.web.admission import ADMISSION_KEY, Admission
from app.web.blocks import NAME, READ_EVERY, Blocks
from tests.billing import BillingEnv
from tests.blocks import block, new_network
from tests.client import Answer, ApiClient, bearer, client_of
from tests.clock import NOON, Clock
from tests.conftest import Account, AppMaker
from tests.databases import on_both_databases, statements
from tests.web.test_admission import Unread, described

HOUR = timedelta(hours=1)


@pytest.fixture
def network() -> str:
    return new_network()


def ask(client: ApiClient, network: str, path: str = "/usage", **options: Any) -> Answer:
    environ = options.pop("environ", {})
    address = str(ip_network(network)[9])
    return client.open(path, environ_overrides={"REMOTE_ADDR": address, **environ}, **options)


@on_both_databases
def test_a_key_is_refused_from_there_until_the_block_ends(
    app: Flask, client: ApiClient, acme: Account, network: str, clock: Clock
) -> None:
    block(app, network, NOON + HOUR)
    refused = ask(client, network, headers=bearer(acme.key))
    assert (refused.status_code, refused.json["code"]) == (403, "blocked")
    assert client.get("/usage", headers=bearer(acme.key)).status_code == 200
    clock.advance(hours=1)
    assert ask(client, network, headers=bearer(acme.key)).status_code == 200


def test_nothing_is_asked_of_the_database_for_who_is_refused(
    app: Flask, client: ApiClient, acme: Account, network: str, clock: Clock
) -> None:
    block(app, network)
    ask(client, network)
    with statements(app) as sent:
        for headers in (bearer(acme.key), bearer("psx_unknown"), {}):
            assert ask(client, network, headers=headers).json["code"] == "blocked"
    assert not sent


@pytest.mark.parametrize("asked", [False, True])
def test_every_described_call_is_refused_before_its_body_is_read(
    app: OpenAPI, client: ApiClient, acme: Account, network: str, asked: bool
) -> None:
    block(app, network)
    for method, path, media in described(app):
        environ = {"wsgi.input": Unread(), "CONTENT_LENGTH": "1000"}
        environ |= {ADMISSION_KEY: Admission()} if asked else {}
        answer = ask(
            client, network, path, method=method, headers=bearer(acme.key), content_type=media,
            environ=environ,
        )  # fmt: skip
        assert (answer.status_code, answer.json["code"]) == (403, "blocked"), f"{method} {path}"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 403), ("/login", 403), ("/dashboard", 403), ("/docs", 403), ("/nowhere", 403),
        ("/storage/some", 403), ("/openapi.json", 403), ("/squeeze", 403),
        ("/healthz", 200), ("/readyz", 200), ("/published/some.png", 404), ("/admin", 404),
        ("/admin/nowhere", 404), ("/static/any/app.js", 200),
    ],
)  # fmt: skip
def test_what_is_served_all_the_same(
    app: Flask, client: ApiClient, network: str, path: str, status: int
) -> None:
    block(app, network)
    answer = ask(client, network, path, headers={"Accept": "text/html"})
    assert answer.status_code == status
    if status == 403:
        assert "misused" in answer.text


def test_other_processes_know_within_seconds(
    app: Flask, client: ApiClient, network: str, clock: Clock
) -> None:
    """A process that has not heard of a change reads all blocks anew, at most every five
    seconds."""
    ask(client, network)
    with app.app_context(), transaction() as session:
        blocks.add(session, blocks.read(network), None, "elsewhere", "user_0", NOON)
    assert ask(client, network).status_code == 401
    clock.advance(seconds=READ_EVERY.total_seconds())
    assert ask(client, network).status_code == 403
    with statements(app) as sent:
        for _ in range(20):
            ask(client, network)
    assert len([one for one in sent if "blocks" in one.text]) <= 1


def test_what_was_known_holds_while_the_database_is_down(
    app: Flask,
    client: ApiClient,
    network: str,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    block(app, network)
    assert ask(client, network).status_code == 403
    tries = []

    def down(*_: object) -> None:
        tries.append(1)
        raise OperationalError("SELECT 1", {}, Exception("connection refused"))

    monkeypatch.setattr(blocks, "networks", down)
    clock.advance(seconds=6)
    with caplog.at_level(logging.WARNING):
        assert [ask(client, network).status_code for _ in range(3)] == [403] * 3
    assert len(tries) == 1, "those who come after do not wait for it"
    clock.advance(seconds=6)
    assert client.get("/healthz").status_code == 200
    assert len(tries) == 1


def test_a_process_that_never_reached_the_database_refuses_nobody(
    app: Flask, client: ApiClient, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    def down(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("connection refused"))

    block(app, network)
    monkeypatch.setitem(app.extensions, NAME, Blocks())
    monkeypatch.setattr(blocks, "networks", down)
    assert ask(client, network).status_code == 401


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [("{blocked}", 403), ("198.51.100.1, {blocked}", 403), ("{blocked}, 198.51.100.1", 401)],
)
def test_behind_a_proxy_the_client_s_address_counts(
    make_app: AppMaker, clock: Clock, network: str, forwarded: str, status: int
) -> None:
    """The last hop is who the proxy saw; what the client claims before that says nothing."""
    app = make_app(trusted_proxies=1)
    block(app, network)
    address = str(ip_network(network)[1])
    headers = {"X-Forwarded-For": forwarded.format(blocked=address)}
    assert client_of(app).get("/usage", headers=headers).status_code == status


def test_an_ipv4_address_that_is_written_as_ipv6_is_the_same(
    app: Flask, client: ApiClient, clock: Clock
) -> None:
    made: Block = block(app, "198.51.100.0/24")
    for address, status in (("::ffff:198.51.100.3", 403), ("::ffff:198.51.101.3", 401)):
        answer = client.get("/usage", environ_overrides={"REMOTE_ADDR": address})
        assert answer.status_code == status
    with app.app_context(), transaction() as session:
        blocks.end(session, made.id, NOON)
    app.extensions[NAME].forget()


def test_the_payment_provider_is_heard(
    app: Flask, client: ApiClient, network: str, billing_env: BillingEnv
) -> None:
    block(app, network)
    answer = ask(client, network, "/webhooks/stripe", method="POST", data=b"{}")
    assert (answer.status_code, answer.json["code"]) == (400, "bad_request")
