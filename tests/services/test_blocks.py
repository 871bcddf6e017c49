"""What can be blocked, and who is hit by it."""

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from flask import Flask
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import select

from app.errors import AppError, BadRequest, Conflict, MailDomainBlocked, NotFound
from app.extensions import transaction
from app.models import Block, BlockKind
from app.services import blocks
from app.services.blocks import BlockedNetworks
from app.services.sweep import sweep
from tests.blocks import block, new_network
from tests.clock import NOON, Clock
from tests.databases import on_both_databases
from tests.people import new_email

DAY = timedelta(days=1)
addresses = st.one_of(
    st.ip_addresses(network="192.0.0.0/14"),
    st.ip_addresses(network="2001:db8::/60"),
    st.ip_addresses(),
)

ends_of_blocks: st.SearchStrategy[datetime | None] = st.sampled_from([None, NOON, NOON + DAY])


@st.composite
def networks(draw: st.DrawFn) -> blocks.Network:
    address = draw(addresses)
    length = draw(st.integers(blocks.SHORTEST[address.version], address.max_prefixlen))
    return ip_network(f"{address}/{length}", strict=False)


@given(st.lists(networks(), max_size=12), addresses, st.data())
def test_an_address_is_blocked_if_a_network_holds_it(
    blocked: list[blocks.Network], address: blocks.Address, data: st.DataObject
) -> None:
    ends = {network: data.draw(ends_of_blocks) for network in blocked}
    is_inside: bool = data.draw(st.booleans())
    if blocked and is_inside:
        network = data.draw(st.sampled_from(blocked))
        address = network[data.draw(st.integers(0, network.num_addresses - 1))]
    expected = any(
        address in network for network, until in ends.items() if until is None or until > NOON
    )
    assert BlockedNetworks(ends.items()).hold(address, NOON) is expected


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        (" 203.0.113.7 ", "203.0.113.7/32", "203.0.113.7"),
        ("203.0.113.7/24", "203.0.113.0/24", "203.0.113.0/24"),
        ("203.0.0.0/16", "203.0.0.0/16", "203.0.0.0/16"),
        ("2001:DB8:0::1", "2001:db8::1/128", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7/32", "203.0.113.7"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24", "203.0.113.0/24"),
        ("Mail.Example.COM", "mail.example.com", "mail.example.com"),
        ("@example.com", "example.com", "example.com"),
        ("*.example.com", "example.com", "example.com"),
        ("xn--bcher-kva.example", "bücher.example", "bücher.example"),
    ],
)
def test_what_is_typed_has_a_normal_form(text: str, value: str, shown: str) -> None:
    target = blocks.read(text)
    assert (target.value, target.text) == (value, shown)
    assert (target.kind is BlockKind.NETWORK) is (target.network is not None)


@pytest.mark.parametrize(
    "text",
    [
        "", "0.0.0.0/0", "203.0.0.0/15", "::/0", "2001:db8::/31", "127.0.0.1", "127.9.0.0/16",
        "::1", "::1/64", "com", "a b.example", "203.0.113.300", "203.0.113.0/33", "x@y.example",
        "a/b.example", "<script>", "\0", "x" * 256, "fe80::1%eth0", "1" * 5000,
    ],
)  # fmt: skip
def test_what_can_t_be_blocked_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        blocks.read(text)
    assert refusal.value.errors[0].startswith("value: ")


@given(st.text(max_size=300))
@example("1.2.3.4/16")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        target = blocks.read(text)
    except AppError:
        return
    assert len(target.value) <= blocks.LONGEST_TEXT
    assert blocks.read(target.value) == target


@on_both_databases
@pytest.mark.usefixtures("context")
def test_a_block_is_there_once_and_ends(app: Flask, clock: Clock) -> None:
    value = new_network()
    made = block(app, value, NOON + DAY)
    with pytest.raises(Conflict), transaction() as session:
        blocks.add(session, blocks.read(value), None, "again", "user_0", NOON)
    address = IPv6Address(ip_network(value)[7])
    with transaction() as session:
        known = blocks.networks(session, NOON)
        assert known.hold(address, NOON)
        assert not known.hold(address, NOON + DAY), "it ends without being read anew"
        assert not blocks.networks(session, NOON + DAY).hold(address, NOON)
        with pytest.raises(NotFound):
            blocks.end(session, made.id, NOON + DAY)
        blocks.add(session, blocks.read(value), None, "again", "user_0", NOON + DAY)
        (again,) = [one for one, _ in blocks.page_of(session, NOON, "", 1)]
        assert (again.value, again.until) == (value, None)
        assert blocks.end(session, again.id, NOON).value == value


@on_both_databases
@pytest.mark.usefixtures("context")
def test_a_block_is_ended_once(app: Flask, clock: Clock) -> None:
    made = block(app, new_network())

    def end() -> None:
        with app.app_context(), transaction() as session:
            blocks.end(session, made.id, NOON)

    with ThreadPoolExecutor(1) as threads:
        with transaction() as session:
            blocks.end(session, made.id, NOON)
            meanwhile = threads.submit(end)
            wait([meanwhile], 0.3)  # in which it would be done if it did not wait
        with pytest.raises(NotFound):
            meanwhile.result()


@pytest.mark.usefixtures("context")
def test_there_are_not_more_blocks_than_a_process_can_know(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = block(app, new_network())
    monkeypatch.setattr(blocks, "MOST", 1)
    with pytest.raises(Conflict, match="the most"):
        block(app, new_network())
    with transaction() as session:
        blocks.end(session, made.id, NOON)


@on_both_databases
@pytest.mark.usefixtures("context")
def test_the_sweep_removes_what_has_ended(app: Flask, clock: Clock) -> None:
    over, going_on = (block(app, new_network(), NOON + end * DAY) for end in (1, 3))
    container = app.extensions["lightwell"]
    swept = sweep(container.storage, container.settings.spool_dir, NOON + 2 * DAY)
    assert swept["blocks"] >= 1
    with transaction() as session:
        left = set(session.scalars(select(Block.id)))
        assert over.id not in left
        assert blocks.end(session, going_on.id, NOON).id == going_on.id


@on_both_databases
@pytest.mark.usefixtures("context")
def test_a_mail_domain_holds_its_subdomains(app: Flask, clock: Clock) -> None:
    domain = new_email().partition("@")[0] + ".example"
    block(app, domain, NOON + DAY)
    with transaction() as session:
        for email in (f"a@{domain}", f"a@mail.{domain}"):
            with pytest.raises(MailDomainBlocked):
                blocks.check_email(session, email, NOON)
            blocks.check_email(session, email, NOON + DAY)
        for email in (f"a@not{domain}", "a@example", f"{domain}@example.com"):
            blocks.check_email(session, email, NOON)


@pytest.mark.parametrize(
    ("text", "accounts", "wide"),
    [
        ("203.0.113.0/24", 0, None),
        ("203.0.112.0/23", 0, "203.0.112.0/23 has 512 addresses."),
        ("2001:db8::/48", 0, None),
        ("2001:db8::/47", 0, "2001:db8::/47 has 131,072 networks of a /64."),
        ("example.com", 9, None),
        ("example.com", 10, "10 accounts have an address at example.com. They go on."),
        ("example.com", 1000, "1,000 or more accounts have an address at example.com. They go on."),
    ],
)
def test_wide_is_what_hits_many(text: str, accounts: int, wide: str | None) -> None:
    assert blocks.why_wide(blocks.read(text), accounts) == wide


def test_an_ipv4_network_says_nothing_of_ipv6() -> None:
    known = BlockedNetworks([(ip_network("203.0.113.0/24"), None)])
    assert known.hold(IPv4Address("203.0.113.255"), NOON)
    assert not known.hold(IPv6Address(int(IPv4Address("203.0.113.255"))), NOON)
