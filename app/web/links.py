"""Addresses that answers contain."""

from datetime import datetime, timedelta
from urllib.parse import urljoin, urlsplit

from flask import request

from app.adapters.fetching.origins import PORTS
from app.web.context import container, now

THUMBNAIL_VALID = timedelta(hours=2)


def absolute(url: str) -> str:
    """A path of this server as the client can call it; what is absolute stays."""
    return urljoin(request.host_url, url)


def own_path(url: str) -> str | None:
    """The path of a URL of this server, by the name that the request came to; None for every other
    URL."""
    try:
        there, here = urlsplit(url), urlsplit(request.host_url)
        # Behind a proxy that does not tell, https looks like http.
        usual = PORTS[there.scheme]
        same = (there.hostname, there.port or usual) == (here.hostname, here.port or usual)
    except (ValueError, KeyError):
        return None
    return there.path if same and "@" not in there.netloc else None


def download(
    key: str, filename: str, content_type: str, expires_at: datetime, *, inline: bool = False
) -> str:
    """A signed URL of an object."""
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
    """A signed URL that stays the same for an hour, so that browsers may keep what they got."""
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
