"""Changes of what people write at an asset, which say what was there before, so that they can be
taken back."""

from dataclasses import dataclass, field
from typing import Any

from app.errors import BadRequest
from app.models import Asset
from app.services.library import assets, facet_counts, folding
from app.tenancy import TenantSession

MAX_TAGS = 50


@dataclass(frozen=True)
class Relabelling:
    """Fields of ``Label`` to set, and tags to add and to remove."""

    fields: dict[str, Any] = field(default_factory=dict)
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True)
class Relabelled:
    """The asset, and the values that the fields had that were changed."""

    asset: Asset
    former: dict[str, Any]


def change(session: TenantSession, asset_id: str, wanted: Relabelling) -> Relabelled:
    """Two changes at once take turns, so that none loses a tag of the other. Raises NotFound,
    BadRequest for an unknown collection or too many tags."""
    facet_counts.lock(session)
    asset = assets.get(session, asset_id)
    fields = dict(wanted.fields)
    if wanted.add or wanted.remove:
        gone = set(map(folding.tag_key, wanted.remove))
        kept = [tag for tag in asset.tags if folding.tag_key(tag) not in gone]
        fields["tags"] = folding.distinct_tags([*kept, *wanted.add])
    if len(fields.get("tags", ())) > MAX_TAGS:
        problem = f"tags: an image has at most {MAX_TAGS} tags; remove one first"
        raise BadRequest.of_fields([problem], problem)
    former = {name: getattr(asset, name) for name in fields}
    changed = {name: value for name, value in former.items() if value != fields[name]}
    return Relabelled(assets.change(session, asset_id, fields), changed)
