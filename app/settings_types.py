"""The types of settings: each checks the text of a variable and makes a value of it."""

import re
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, NamedTuple
from urllib.parse import unquote, urlsplit

from email_validator import EmailNotValidError, validate_email
from limits import parse_many
from pydantic import AfterValidator, BeforeValidator, Field


def _rate_limit(value: str) -> str:
    try:
        parse_many(value)
    except ValueError as error:
        raise ValueError("must be a rate such as '10/minute'") from error
    return value


def _database_url(value: str) -> str:
    """Heroku and Railway hand out ``postgres://``; SQLAlchemy wants the driver named."""
    for scheme in ("postgres://", "postgresql://"):
        if value.startswith(scheme):
            return "postgresql+psycopg://" + value.removeprefix(scheme)
    if value and not value.startswith(("sqlite://", "postgresql+psycopg://")):
        raise ValueError("must begin with sqlite:// or postgres://")
    return value


def _redis_url(value: str) -> str:
    if value and not value.startswith(("redis://", "rediss://")):
        raise ValueError("must begin with redis:// or rediss://")
    return value


def _bucket(value: str) -> str:
    if value and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value):
        raise ValueError(
            "must be the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens"
        )
    return value


def _http_url(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("must begin with https:// or http://")
    if "@" in value:
        raise ValueError("must hold no credentials: they have variables of their own")
    return value.rstrip("/")


def _listed(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _texts(value: object) -> object:
    return _listed(value) if isinstance(value, str) else value


def _models(value: tuple[str, ...]) -> tuple[str, ...]:
    aliases = [entry.partition("=")[0] for entry in value]
    if len(set(aliases)) < len(aliases) or not all(
        re.fullmatch(r"[^=]+(=.+)?", entry) for entry in value
    ):
        raise ValueError("must be such as fine,sdxl=provider-model, each alias once")
    return value


def _networks(value: object) -> object:
    """``203.0.113.0/24,2001:db8::/32``; an address is a network of its own."""
    if not isinstance(value, str):
        return value
    try:
        return tuple(ip_network(one) for one in _listed(value))
    except ValueError as error:
        raise ValueError(f"must be such as 203.0.113.0/24,2001:db8::7: {error}") from None


class PlanPrice(NamedTuple):
    """A price of the payment provider: what it costs to be on ``plan`` for an ``interval``,
    ``month`` or ``year``."""

    plan: str
    interval: str
    price_id: str


def _plan_prices(value: object) -> object:
    """``TEAM/month=price_1,TEAM/year=price_2``."""
    if not isinstance(value, str):
        return value
    entries = [re.fullmatch(r"(\w+)/(month|year)=(\w+)", entry) for entry in _listed(value)]
    if None in entries:
        raise ValueError("must be such as TEAM/month=price_1,TEAM/year=price_2")
    return tuple(PlanPrice(*entry.groups()) for entry in entries if entry)


class MailServer(NamedTuple):
    """A mail server, and who signs in there; ``user`` is empty if nobody does. ``is_encrypted`` is
    whether TLS begins with the connection, instead of with STARTTLS."""

    host: str
    port: int
    user: str
    password: str
    is_encrypted: bool


SMTP_PORTS = {"smtp": 587, "smtps": 465}


def _mail_server(value: object) -> object:
    """``smtp://user:password@host:587``. User and password are percent-encoded."""
    if not isinstance(value, str):
        return value
    url = urlsplit(value)
    if url.scheme not in SMTP_PORTS or not url.hostname or url.path.strip("/") or url.query:
        raise ValueError("must be such as smtp://user:password@host:587 or smtps://…:465")
    return MailServer(
        url.hostname,
        url.port or SMTP_PORTS[url.scheme],
        unquote(url.username or ""),
        unquote(url.password or ""),
        url.scheme == "smtps",
    )


def _sender(value: str) -> str:
    if value:
        try:
            validate_email(parseaddr(value)[1], check_deliverability=False, test_environment=True)
        except EmailNotValidError as error:
            raise ValueError(f"must be such as Lightwell <mail@example.com>: {error}") from None
    return value


Rate = Annotated[str, AfterValidator(_rate_limit)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
Bucket = Annotated[str, AfterValidator(_bucket)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]
Models = Annotated[Texts, AfterValidator(_models)]
Server = Annotated[MailServer | None, BeforeValidator(_mail_server)]
Sender = Annotated[str, AfterValidator(_sender)]
PlanPrices = Annotated[tuple[PlanPrice, ...], BeforeValidator(_plan_prices)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)]
Positive = Annotated[int, Field(ge=1)]
