"""Where assets come from, and what was made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from app.models import Actor, Asset, Origin, TrashedAsset
from app.services.library import trash
from app.tenancy import TenantSession


@dataclass(frozen=True)
class Provenance:
    """Where a new asset comes from. What is made of an image names it in ``made_from``, and what
    was done in ``operations``, as the API writes it: ``[{"resize": {"width": 800}}]``."""

    actor: Actor
    origin: Origin
    made_from: str | None = None
    operations: Sequence[dict[str, Any]] | None = None

    def note(self, asset: Asset) -> None:
        """Write it into the row of a new asset."""
        asset.origin, asset.made_from = self.origin, self.made_from
        asset.operations = None if self.operations is None else list(self.operations)
        asset.added_by_kind, asset.added_by_id = self.actor.kind, self.actor.id


@dataclass(frozen=True)
class Ancestor:
    """What an asset was made from. Both rows are None if it is gone for good, ``asset`` alone if it
    is in the trash."""

    id: str
    asset: Asset | None = None
    trashed: TrashedAsset | None = None


@dataclass(frozen=True)
class Children:
    """What was made of an asset, the newest first, and how many there are in all."""

    assets: Sequence[Asset]
    total: int


def ancestors_of(session: TenantSession, asset: Asset, limit: int = 20) -> list[Ancestor]:
    """What the asset was made from, what that was made from, and so on: the nearest first, at most
    ``limit``. The last one is the original, unless it is gone or there are more."""
    found: list[Ancestor] = []
    seen = {asset.id}
    next_id = asset.made_from
    while next_id is not None and next_id not in seen and len(found) < limit:
        seen.add(next_id)
        ancestor = _ancestor(session, next_id)
        found.append(ancestor)
        row = ancestor.asset or ancestor.trashed
        next_id = row.made_from if row else None
    return found


def children_of(session: TenantSession, asset: Asset, limit: int = 20) -> Children:
    """What was made of the asset directly. What is in the trash is left out."""
    made = Asset.made_from == asset.id
    newest = select(Asset).where(made).order_by(Asset.uploaded_at.desc(), Asset.id.desc())
    children = session.scalars(newest.limit(limit)).all()
    if len(children) < limit:
        return Children(children, len(children))
    total = session.scalar(select(func.count()).select_from(Asset).where(made))
    return Children(children, total or 0)


def _ancestor(session: TenantSession, asset_id: str) -> Ancestor:
    asset = session.scalar(select(Asset).where(Asset.id == asset_id))
    return Ancestor(asset_id, asset, None if asset else trash.find(session, asset_id))
