"""Hosts that an organization's images may be fetched from, in addition to the well-known object
stores."""

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select

from app.errors import BadRequest, Conflict
from app.models import Actor, AllowedHost
from app.services import audit
from app.tenancy import TenantSession, insert_if_absent

NAME = re.compile(
    r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
)
"""A host name in the public DNS (RFC 1123 §2.1): it has a dot and is no IP address."""
MAX_HOSTS = 100
SHOWN_CHARACTERS = 100
"""Of a refused text in the refusal."""


def list_of(session: TenantSession) -> Sequence[str]:
    return session.scalars(select(AllowedHost.host).order_by(AllowedHost.host)).all()


def allow(session: TenantSession, host: str, actor: Actor, now: datetime) -> str:
    """Allow images to be fetched from ``host``. Returns the name as it is stored. Raises BadRequest
    if it is not a host name, Conflict if there are as many as there may be."""
    name = _plain(host)
    if not NAME.fullmatch(name):
        shown = host[:SHOWN_CHARACTERS]
        raise BadRequest(f"'{shown}' is not the name of a host, such as images.example.com.")
    if insert_if_absent(session, AllowedHost, host=name):
        if (session.scalar(select(func.count()).select_from(AllowedHost)) or 0) > MAX_HOSTS:
            raise Conflict(f"{MAX_HOSTS} hosts are allowed, which is the most. Remove one first.")
        audit.record(session, actor, "host.allowed", {"host": None}, {"host": name}, now)
    return name


def forget(session: TenantSession, host: str, actor: Actor, now: datetime) -> None:
    """Allow a host no longer. One that was not allowed is no error."""
    name = _plain(host)
    if session.change(delete(AllowedHost).where(AllowedHost.host == name)):
        audit.record(session, actor, "host.removed", {"host": name}, {"host": None}, now)


def _plain(host: str) -> str:
    return host.strip().lower()
