"""Hosts that an organization's images may be fetched from, in addition to the well-known object
stores."""

import re

from sqlalchemy import delete

from app.errors import BadRequest
from app.models import AllowedHost
from app.tenancy import TenantSession, insert_if_absent

NAME = re.compile(
    r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
)
"""A host name in the public DNS (RFC 1123 §2.1): it has a dot and is no IP address."""


def allow(session: TenantSession, host: str) -> str:
    """Allow images to be fetched from ``host``. Returns the name as it is stored. Raises BadRequest
    if it is not a host name."""
    name = _plain(host)
    if not NAME.fullmatch(name):
        raise BadRequest(f"'{host}' is not the name of a host, such as images.example.com.")
    insert_if_absent(session, AllowedHost, host=name)
    return name


def forget(session: TenantSession, host: str) -> None:
    session.change(delete(AllowedHost).where(AllowedHost.host == _plain(host)))


def _plain(host: str) -> str:
    return host.strip().lower()
