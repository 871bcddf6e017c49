"""What is known of an asset beyond its row: colours and metadata. Looked at once, when somebody
asks, and kept in ``Asset.details``."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import update

from app.extensions import transaction
from app.imaging import ImageTooLarge, ImageTooSlow, UnreadableImage, UnsupportedImage
from app.models import Asset, MediaType
from app.services.accounts.principal import Principal
from app.services.processing_context import ProcessingContext

OF_THE_FILE = (ImageTooLarge, ImageTooSlow, UnreadableImage, UnsupportedImage)
"""Refusals that the file would get again, unlike those of a server that is stopped."""
UNREADABLE: dict[str, Any] = {"colours": [], "metadata": None}
"""Of a file whose metadata broke or delayed what reads it. It is not tried again."""


def find(principal: Principal, asset: Asset, context: ProcessingContext) -> dict[str, Any]:
    """``{"colours": [{"hex", "share"}], "metadata": {…}}``: the fields of ``imaging.Details``.
    ``metadata`` is None where the file can't be read. Of a video only the poster's colours are
    told. Staff who look at the page find it, and keep nothing.

    Raises Overloaded, ImagingInterrupted, and FileNotFoundError if a file is missing in storage.
    """
    if asset.details is not None:
        return asset.details
    found = _look(principal, asset, context)
    if principal.viewing:
        return found
    with transaction(*principal.partition) as session:
        session.change(update(Asset).where(Asset.id == asset.id).values(details=found))
    return found


def _look(principal: Principal, asset: Asset, context: ProcessingContext) -> dict[str, Any]:
    with context.folder() as folder:
        thumbnail = folder / "thumbnail"
        context.storage.fetch(asset.thumbnail_key, thumbnail)
        source = thumbnail
        if asset.media_type == MediaType.IMAGE:
            source = folder / "original"
            context.storage.fetch(asset.storage_key, source)
        try:
            return asdict(
                context.outcome(context.imaging.describe(source, thumbnail, principal.org_id))
            )
        except OF_THE_FILE:
            return UNREADABLE
