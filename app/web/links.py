"""URLs that answers contain."""

import re
from datetime import datetime, timedelta
from urllib.parse import urljoin, urlsplit, urlunsplit

from flask import request

from app.adapters.fetching.origins import PORTS
from app.web.context import container, now, principal

HOME = "/dashboard"
THUMBNAIL_VALID = timedelta(hours=2)


def absolute(url: str) -> str:
    """Return the absolute URL of a path of this server; absolute URLs stay as they are."""
    return urljoin(request.host_url, url)


def own_path(url: str) -> str | None:
    """Return the path of ``url`` if it has the host of the current request, else None."""
    try:
        there, here = urlsplit(url), urlsplit(request.host_url)
        # Schemes may differ: behind a proxy without X-Forwarded-Proto, https looks like http.
        usual = PORTS[there.scheme]
        same = (there.hostname, there.port or usual) == (here.hostname, here.port or usual)
    except (ValueError, KeyError):
        return None
    return there.path if same and "@" not in there.netloc else None


def next_path(url: str | None) -> str:
    """Return path and query of a page of this server, for redirects to where a visitor came from.
    For anything else, and for what browsers may read as another host, the dashboard (CWE-601)."""
    try:
        whole = urljoin(request.host_url, url or HOME)
    except ValueError:  # no URL, such as //[ or a host that is none after normalization
        return HOME
    if not (own_path(whole) or "").startswith("/") or re.search(
        r"[\\\x00-\x20]|^[^?#]*[^:]//", whole
    ):
        return HOME
    there = urlsplit(whole)
    return urlunsplit(("", "", there.path, there.query, ""))


def in_mode(path: str) -> str:
    """Return the path of a page with the mode of this request, live or test, in its query."""
    if principal().is_live:
        return path
    return f"{path}{'&' if '?' in path else '?'}mode=test"


def download(
    key: str, filename: str, content_type: str, expires_at: datetime, *, inline: bool = False
) -> str:
    """Return a signed URL of an object."""
    storage = container().storage
    return absolute(
        storage.presign_get(
            key,
            filename=filename,
            content_type=content_type,
            inline=inline,
            expires_at=expires_at,
            now=now(),
        )
    )


def thumbnail(key: str) -> str:
    """Return a signed URL that stays the same for an hour, so that browsers can cache the
    thumbnail."""
    hour = now().replace(minute=0, second=0, microsecond=0)
    url = container().storage.presign_get(
        key,
        filename="thumbnail.webp",
        content_type="image/webp",
        inline=True,
        expires_at=hour + THUMBNAIL_VALID,
        now=hour,
    )
    return absolute(url)
