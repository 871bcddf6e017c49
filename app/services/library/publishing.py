"""Published images: an asset's bytes under an address that nobody can guess, for everybody who was
given it.

Each publication has an address of its own, so that what was unpublished stays so, whatever is
published later.
"""

import re
import secrets

from sqlalchemy import select, update
from sqlalchemy.orm.attributes import set_committed_value

from app.errors import NotFound, Unprocessable
from app.extensions import transaction
from app.models import Asset
from app.services.library.images import ImageFile
from app.tenancy import TenantSession, unscoped

TOKEN_BYTES = 18
TOKEN = re.compile(r"[\w-]{24}", re.ASCII)
FOLDER = "/published/"


def publish(session: TenantSession, asset: Asset) -> None:
    """Give the asset an address; parallel callers, and later ones, get the same. Raises
    NotFound."""
    mine = update(Asset).where(Asset.id == asset.id, Asset.public_token.is_(None))
    session.change(mine.values(public_token=secrets.token_urlsafe(TOKEN_BYTES)))
    token = session.scalar(select(Asset.public_token).where(Asset.id == asset.id))
    if token is None:
        raise NotFound(f"Image '{asset.id}' was deleted.")
    set_committed_value(asset, "public_token", token)


def unpublish(session: TenantSession, asset: Asset) -> None:
    """Nobody finds the asset at its address any more, for good. It is no error where it has
    none."""
    session.change(update(Asset).where(Asset.id == asset.id).values(public_token=None))
    set_committed_value(asset, "public_token", None)


def find(token: str) -> ImageFile | None:
    """What lies at an address, whoever it belongs to."""
    if not TOKEN.fullmatch(token):
        return None
    with transaction() as session, unscoped(session, "a published image"):
        asset = session.scalar(select(Asset).where(Asset.public_token == token))
        return ImageFile.of(asset) if asset else None


def at(path: str) -> ImageFile | None:
    """What lies at a path of this server, written as ``path_of`` does. None for another path;
    raises Unprocessable."""
    if not path.startswith(FOLDER):
        return None
    token, _, extension = path.removeprefix(FOLDER).rpartition(".")
    if (image := find(token)) and image.extension == extension:
        return image
    problem = "url: no image is published there; it may have been unpublished"
    raise Unprocessable(problem, errors=[problem])


def path_of(asset: Asset) -> str | None:
    """The address of an asset that is published, without a host."""
    return asset.public_token and f"{FOLDER}{asset.public_token}.{ImageFile.of(asset).extension}"
