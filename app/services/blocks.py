"""Blocks: networks whose requests are refused, and mail domains that get no new accounts
(docs/decisions/048)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from typing import NamedTuple

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import ColumnElement, delete, func, or_, select

from app.errors import BadRequest, Conflict, MailDomainBlocked, NotFound
from app.models import Block, BlockKind, User, domain_of, new_id
from app.tenancy import TenantSession

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
SHORTEST = {4: 16, 6: 32}
"""The length of the widest prefix that can be blocked."""
WIDE = {4: 24, 6: 48}
"""Shorter prefixes than these are wide: many customers of a provider share such a network."""
MANY_ACCOUNTS = 10
"""A domain with so many accounts is wide too."""
COUNTED_ACCOUNTS = 1000
"""Accounts of a domain are counted so far."""
MOST = 2000
"""Every process knows all blocks by heart."""
MAPPED = IPv6Network("::ffff:0:0/96")
"""IPv4 addresses that are written as IPv6 (RFC 4291 §2.5.5.2)."""
LONGEST_TEXT = 255


@dataclass(frozen=True)
class Target:
    """What can be blocked. ``value`` is its normal form, such as ``203.0.113.7/32``, and
    ``network`` is None for a mail domain."""

    kind: BlockKind
    value: str
    network: Network | None = None

    @property
    def text(self) -> str:
        """As people write it."""
        return text_of(self.value)


def text_of(value: str) -> str:
    """A value of a block as people write it: a network of one address is that address."""
    return value.removesuffix("/32" if "." in value else "/128")


def read(text: str) -> Target:
    """What somebody has typed: an address, a network, or a mail domain. Raises BadRequest."""
    text = text.strip()
    if not text or len(text) > LONGEST_TEXT or "%" in text:  # a zone is one machine's own
        raise refusal("give an address, a network or a mail domain")
    try:
        network = unmapped(ip_network(text, strict=False))
    except ValueError:
        return Target(BlockKind.MAIL_DOMAIN, _domain(text))
    shortest = SHORTEST[network.version]
    if network.prefixlen < shortest:
        raise refusal(f"is too wide: IPv{network.version} may be blocked up to a /{shortest}")
    if network.is_loopback or network.overlaps(_loopback(network)):
        raise refusal("is this machine itself")
    return Target(BlockKind.NETWORK, str(network), network)


def refusal(problem: str) -> BadRequest:
    """Of the field with what should be blocked."""
    return BadRequest.of_fields([f"value: {problem}"], "")


def unmapped(network: Network) -> Network:
    """A network of IPv4 addresses that are written as IPv6, as IPv4; others as they are."""
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        bits = int(network.network_address) & 0xFFFFFFFF
        return IPv4Network((bits, network.prefixlen - MAPPED.prefixlen))
    return network


def _loopback(network: Network) -> Network:
    return ip_network("127.0.0.0/8" if network.version == 4 else "::1/128")


def _domain(text: str) -> str:
    """The normal form of a domain, as addresses have it. Raises BadRequest."""
    domain = text.removeprefix("*.").removeprefix("@")
    try:
        # Asked as an address is, so that both come out alike.
        email = validate_email(
            f"x@{domain}", check_deliverability=False, test_environment=True
        ).normalized
    except EmailNotValidError:
        raise refusal("is neither an address nor a network nor a mail domain") from None
    if "/" in text or email.count("@") != 1:
        raise refusal("is neither an address nor a network nor a mail domain")
    return domain_of(email.lower())


# ── what staff do ─────────────────────────────────────────────────────────────────────────────────


def accounts_at(session: TenantSession, target: Target) -> int:
    """How many accounts have an address at a mail domain, up to ``COUNTED_ACCOUNTS``; those of its
    subdomains are not counted."""
    if target.kind is not BlockKind.MAIL_DOMAIN:
        return 0
    there = select(User.id).where(User.mail_domain == target.value).limit(COUNTED_ACCOUNTS)
    return session.scalar(select(func.count()).select_from(there.subquery())) or 0


def why_wide(target: Target, accounts: int) -> str | None:
    """What makes a block a wide one, which hits many who did nothing; None if it is not wide."""
    if target.network is not None:
        if target.network.prefixlen >= WIDE[target.network.version]:
            return None
        if target.network.version == 4:
            return f"{target.value} has {target.network.num_addresses:,} addresses."
        return f"{target.value} has {2 ** (64 - target.network.prefixlen):,} networks of a /64."
    if accounts < MANY_ACCOUNTS:
        return None
    number = f"{accounts:,}" if accounts < COUNTED_ACCOUNTS else f"{COUNTED_ACCOUNTS:,} or more"
    return f"{number} accounts have an address at {target.value}. They go on."


def add(
    session: TenantSession,
    target: Target,
    until: datetime | None,
    reason: str,
    user_id: str,
    now: datetime,
) -> Block:
    """Block something until then, or for good. Raises Conflict if it is blocked already, or if
    there are ``MOST`` blocks."""
    same = (Block.kind == target.kind, Block.value == target.value)
    session.change(delete(Block).where(*same, Block.until <= now))
    if session.scalar(select(Block.id).where(*same)):
        raise Conflict(
            f"{target.text} is blocked already. To set another end, end that block first.",
            errors=["value: is blocked already"],
        )
    if (session.scalar(select(func.count()).select_from(Block)) or 0) >= MOST:
        raise Conflict(
            f"There are {MOST:,} blocks, the most. End some, or block wider networks.",
            errors=["value: is one too many"],
        )
    block = Block(
        id=new_id("block", now),
        kind=target.kind,
        value=target.value,
        reason=reason,
        created_by=user_id,
        created_at=now,
        until=until,
    )
    session.add(block)
    session.flush()
    return block


def end(session: TenantSession, block_id: str, now: datetime) -> Block:
    """End a block. Raises NotFound for one that has ended."""
    block = session.scalar(select(Block).where(Block.id == block_id, holds(now)))
    if block is None:
        raise _no_block()
    if not session.change(delete(Block).where(Block.id == block_id)):  # another was faster
        raise _no_block()
    return block


def _no_block() -> NotFound:
    return NotFound("There is no such block; perhaps it has ended by now.")


class Listed(NamedTuple):
    """A block, and the address of who added it, if they still have an account."""

    block: Block
    by: str | None


def page_of(session: TenantSession, now: datetime, before: str, size: int) -> list[Listed]:
    """Up to ``size`` blocks that hold, the newest first; ``before`` is the id after which the list
    goes on, or empty."""
    wanted = select(Block, User.email).outerjoin(User, User.id == Block.created_by)
    if before:
        wanted = wanted.where(Block.id < before)
    rows = session.execute(wanted.where(holds(now)).order_by(Block.id.desc()).limit(size))
    return [Listed(block, by) for block, by in rows]


def holds(now: datetime) -> ColumnElement[bool]:
    return or_(Block.until.is_(None), Block.until > now)


def release_expired(session: TenantSession, now: datetime) -> int:
    """Remove the blocks that have ended. Returns how many; the staff's log keeps them."""
    return session.change(delete(Block).where(Block.until <= now))


# ── what comes of it ──────────────────────────────────────────────────────────────────────────────


def check_email(session: TenantSession, email: str, now: datetime) -> None:
    """Raises MailDomainBlocked for a normalised address at a blocked domain or below one, which may
    get no new account."""
    labels = domain_of(email).split(".")
    domains = [".".join(labels[first:]) for first in range(len(labels))]
    blocked = select(Block.value).where(
        Block.kind == BlockKind.MAIL_DOMAIN, Block.value.in_(domains), holds(now)
    )
    if domain := session.scalar(blocked.limit(1)):
        problem = f"ddresses at {domain} can't be used here. Use another address."
        raise MailDomainBlocked(f"A{problem}", errors=[f"email: a{problem}"])


class BlockedNetworks:
    """The networks that are blocked, each with its end, for a quick answer on one address: a look
    into a dictionary for each length of prefix that there is."""

    def __init__(self, blocked: Iterable[tuple[Network, datetime | None]]) -> None:
        self._by_length: dict[tuple[int, int], dict[int, datetime | None]] = {}
        for network, until in blocked:
            shift = network.max_prefixlen - network.prefixlen
            ends = self._by_length.setdefault((network.version, shift), {})
            ends[int(network.network_address) >> shift] = until

    def hold(self, address: Address, now: datetime) -> bool:
        """Whether requests from this address are refused."""
        number = int(address)
        for (version, shift), ends in self._by_length.items():
            if version != address.version or number >> shift not in ends:
                continue
            until = ends[number >> shift]
            if until is None or until > now:
                return True
        return False


def networks(session: TenantSession, now: datetime) -> BlockedNetworks:
    """All networks that are blocked now, in one statement."""
    rows = session.execute(
        select(Block.value, Block.until).where(Block.kind == BlockKind.NETWORK, holds(now))
    )
    return BlockedNetworks([(ip_network(value), until) for value, until in rows])
