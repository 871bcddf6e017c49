"""Published images: an asset's bytes at an address that can't be guessed, for everyone who was
given it.

Each publication has a new address, so that an unpublished address stays unpublished when the asset
is published again.
"""

import re
import secrets

from sqlalchemy import select, update
from sqlalchemy.orm.attributes import set_committed_value

from app.errors import NotFound, Unprocessable
from app.extensions import transaction
from app.models import Asset, Organization
from app.services.library.images import ImageFile
from app.tenancy import TenantSession, unscoped

TOKEN_BYTES = 18
TOKEN = re.compile(r"[\w-]{24}", re.ASCII)
PATH_PREFIX = "/published/"


def publish(session: TenantSession, asset: Asset) -> None:
    """Give the asset an address. Parallel and later calls get the same one. Raises NotFound."""
    mine = update(Asset).where(Asset.id == asset.id, Asset.public_token.is_(None))
    session.change(mine.values(public_token=secrets.token_urlsafe(TOKEN_BYTES)))
    token = session.scalar(select(Asset.public_token).where(Asset.id == asset.id))
    if token is None:
        raise NotFound(f"Image '{asset.id}' was deleted.")
    set_committed_value(asset, "public_token", token)


def unpublish(session: TenantSession, asset: Asset) -> None:
    """Remove the asset's address permanently. An asset without an address is no error."""
    session.change(update(Asset).where(Asset.id == asset.id).values(public_token=None))
    set_committed_value(asset, "public_token", None)


def find(token: str) -> ImageFile | None:
    """The image at an address, of any organization that is neither suspended nor being
    deleted."""
    if not TOKEN.fullmatch(token):
        return None
    with transaction() as session, unscoped(session, "a published image"):
        asset = session.scalar(
            select(Asset)
            .join(Organization, Organization.id == Asset.org_id)
            .where(
                Asset.public_token == token,
                Organization.delete_at.is_(None),
                Organization.suspended_at.is_(None),
            )
        )
        return ImageFile.of(asset) if asset else None


def find_at_path(path: str) -> ImageFile | None:
    """The image at a path of this server in the form of ``path_of``. None for another path. Raises
    Unprocessable if no image is published there."""
    if not path.startswith(PATH_PREFIX):
        return None
    token, _, extension = path.removeprefix(PATH_PREFIX).rpartition(".")
    if (image := find(token)) and image.extension == extension:
        return image
    problem = "url: no image is published there; it may have been unpublished"
    raise Unprocessable(problem, errors=[problem])


def path_of(asset: Asset) -> str | None:
    """The path of a published asset, None for an asset that is not published."""
    return (
        asset.public_token and f"{PATH_PREFIX}{asset.public_token}.{ImageFile.of(asset).extension}"
    )
