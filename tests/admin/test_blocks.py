"""Blocks as staff add and end them."""

import re
from dataclasses import replace
from ipaddress import ip_network
from uuid import uuid4

import pytest
from flask import Flask

from app.extensions import transaction
from app.models import StaffRole, User, new_id
from app.services import blocks
from tests.admin.conftest import StaffMaker
from tests.blocks import block, new_network
from tests.client import Answer, ApiClient
from tests.clock import NOON, Clock
from tests.conftest import Account
from tests.databases import on_both_databases
from tests.forms import text_of
from tests.staff import REASON, act, log_of

NEW, LIST = "/admin/abuse/blocks/new", "/admin/abuse/blocks"


def from_there(client: ApiClient, network: str) -> int:
    address = str(ip_network(network)[5])
    return client.get("/docs", environ_overrides={"REMOTE_ADDR": address}).status_code


def add(staff: ApiClient, value: str, **fields: str) -> Answer:
    return act(staff, NEW, **{"value": value, "days": "7", **fields})


@on_both_databases
def test_a_network_is_blocked_and_the_block_ended(
    app: Flask, staff: ApiClient, client: ApiClient, clock: Clock
) -> None:
    network = new_network()
    assert from_there(client, network) == 200
    assert add(staff, network).status_code == 303
    assert from_there(client, network) == 403
    page = staff.get(LIST)
    for told in (network, REASON, "27 Nov 2026, 12:00 UTC"):
        assert told in text_of(page)
    block_id = re.search(r"/blocks/(block_\w+)/end", page.text)
    assert block_id
    assert act(staff, f"{LIST}/{block_id[1]}/end").status_code == 303
    assert from_there(client, network) == 200
    assert f"<code>{network}</code>" not in staff.get(LIST).text
    added, ended = log_of(app, staff)
    assert (added.action, added.subject) == ("block.added", network)
    assert added.after["kind"] == "network"
    assert (ended.action, ended.subject) == ("block.ended", network)
    assert (ended.before, ended.after) == (added.after, added.before)
    assert act(staff, f"{LIST}/{block_id[1]}/end").status_code == 404


def test_a_block_ends_by_itself_or_never(staff: ApiClient, client: ApiClient, clock: Clock) -> None:
    week, good = new_network(), new_network()
    assert add(staff, week).status_code == 303
    assert add(staff, good, days="").status_code == 303
    clock.advance(days=7)
    assert [from_there(client, network) for network in (week, good)] == [200, 403]


@pytest.mark.parametrize(
    ("value", "field", "told"),
    [
        ("127.0.0.1", "value", "this machine"),
        ("198.51.0.0/15", "value", "too wide"),
        ("203.0.113.0/24", "value", "where you are yourself"),
        ("192.0.2.0/25", "value", "networks that staff come from"),
        ("192.0.0.0/16", "value", "networks that staff come from"),
        ("example.com", "value", "your own address"),
        ("com", "value", "neither"),
        ("nonsense", "value", "neither"),
        ("", "value", "Give an address"),
        ("198.51.0.0/16", "typed", "65,536 addresses"),
    ],
)
def test_what_must_not_be_blocked_comes_back(
    app: Flask,
    staff: ApiClient,
    monkeypatch: pytest.MonkeyPatch,
    value: str,
    field: str,
    told: str,
) -> None:
    container = app.extensions["lightwell"]
    trusted = {"admin_networks": (ip_network("192.0.2.0/24"), ip_network("203.0.113.0/24"))}
    settings = container.settings.model_copy(update=trusted)
    monkeypatch.setitem(app.extensions, "lightwell", replace(container, settings=settings))
    staff.environ_base["REMOTE_ADDR"] = "203.0.113.7"
    page = add(staff, value)
    assert page.status_code == 400
    assert told in text_of(page)
    (error,) = re.findall(r'id="field-(\w+)-error"', page.text)
    assert error == field
    assert REASON in page.text
    assert log_of(app, staff) == []


def test_a_wide_block_takes_its_value_twice(
    app: Flask, staff: ApiClient, client: ApiClient, clock: Clock
) -> None:
    network = re.sub(r":\w+::/64", "::/40", new_network())
    network = str(ip_network(network, strict=False))
    for typed in ("", "2001:db8::/41", "yes"):
        assert add(staff, network, typed=typed).status_code == 400
    assert from_there(client, network) == 200
    assert add(staff, network, typed=f" {network} ").status_code == 303
    assert from_there(client, network) == 403


def test_a_domain_with_many_accounts_is_wide(app: Flask, staff: ApiClient, clock: Clock) -> None:
    domain = f"d{uuid4().hex}.example"
    with app.app_context(), transaction() as session:
        session.add_all(
            User(id=new_id("user", NOON), email=f"{number}@{domain}", created_at=NOON)
            for number in range(blocks.MANY_ACCOUNTS)
        )
    page = add(staff, f"@{domain.upper()}")
    assert page.status_code == 400
    assert f"10 accounts have an address at {domain}" in text_of(page)
    assert add(staff, domain, typed=domain).status_code == 303


def test_what_is_blocked_already_comes_back(app: Flask, staff: ApiClient, clock: Clock) -> None:
    network = new_network()
    assert add(staff, network).status_code == 303
    page = add(staff, network)
    assert page.status_code == 409
    assert "is blocked already" in text_of(page)
    assert len(log_of(app, staff)) == 1
    assert add(staff, new_network(), days="8").status_code == 400


def test_who_may_only_look_gets_no_buttons(
    app: Flask, make_staff: StaffMaker, clock: Clock
) -> None:
    made, looker = block(app, new_network()), make_staff(StaffRole.SUPPORT)
    page = looker.get(LIST)
    assert made.value in page.text
    assert "/end" not in page.text
    assert NEW not in page.text
    assert looker.get(NEW).status_code == 403
    assert act(looker, f"{LIST}/{made.id}/end").status_code == 403


def test_the_list_goes_on(
    app: Flask, staff: ApiClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.admin.blocks.PAGE_SIZE", 2)
    clock.advance(minutes=30)  # these are the newest
    with app.app_context(), transaction() as session:
        made = [
            blocks.add(session, blocks.read(new_network()), None, "a test", "user_0", clock())
            for _ in range(5)
        ]
    shown, path = [], f"{LIST}?before=block_zzz"
    for _ in range(3):
        page = staff.get(path).text
        shown += re.findall(r"<code>([0-9a-f:]+/64)</code>", page.partition("<dialog")[0])
        path = LIST + (re.search(r'href="(\?before=[^"]+)" rel="next"', page) or ["", ""])[1]
    assert shown[:5] == [one.value for one in reversed(made)]
    for before in ("\0", "x" * 999, "'"):
        assert staff.get(LIST, query_string={"before": before}).status_code == 200


def test_reasons_are_shown_as_they_were_typed(
    staff: ApiClient, acme: Account, clock: Clock
) -> None:
    reason = "<script>alert(1)</script>"
    assert act(staff, NEW, value=new_network(), days="1", reason=reason).status_code == 303
    page = staff.get(LIST)
    assert "<script>alert" not in page.text
    assert reason in text_of(page)
