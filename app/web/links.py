"""URLs that answers contain."""

from datetime import datetime, timedelta
from urllib.parse import urljoin, urlsplit

from flask import request

from app.adapters.fetching.origins import PORTS
from app.web.context import container, now

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
