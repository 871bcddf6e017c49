"""Hosts that an organization's images may be fetched from, beside the well-known object stores."""

import re

from sqlalchemy import delete

from app.errors import BadRequest
from app.models import AllowedHost
from app.tenancy import TenantSession, insert_if_absent

NAME = re.compile(
    r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
)
"""Of a host in the public DNS (RFC 1123 §2.1): with a dot, and no address."""


def allow(session: TenantSession, host: str) -> str:
    """Let images be fetched from ``host``; returns its name as it is kept. Raises BadRequest for
    what is no name."""
    name = _plain(host)
    if not NAME.fullmatch(name):
        raise BadRequest(f"'{host}' is not the name of a host, such as images.example.com.")
    insert_if_absent(session, AllowedHost, host=name)
    return name


def forget(session: TenantSession, host: str) -> None:
    session.change(delete(AllowedHost).where(AllowedHost.host == _plain(host)))


def _plain(host: str) -> str:
    return host.strip().lower()
