"""What the page of an asset shows, read in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from app.dashboard import wording
from app.imaging.formats import Source
from app.models import Actor, ActorKind, Asset, AssetFields, MediaType
from app.services.accounts import activity
from app.services.accounts.permissions import Action
from app.services.filenames import Names
from app.services.library import assets, collection_tree, provenance, publishing
from app.services.library.collection_tree import Tree
from app.services.library.images import ImageFile
from app.services.library.provenance import Ancestor
from app.tenancy import TenantSession
from app.web import links
from app.web.asset_filters import AssetQuery
from app.web.context import now, principal

SHOWN_BY_BROWSERS = frozenset({Source.JPEG, Source.PNG, Source.WEBP, Source.GIF, Source.AVIF})
PLAYED_BY_BROWSERS = frozenset({Source.MP4, Source.WEBM})
URL_VALID = timedelta(hours=6)
"""How long the page can load its original."""
MOST_CHILDREN = 24


@dataclass(frozen=True)
class Step:
    """An image in the chain that led to the asset, and what was done to make it. ``href`` is None
    for what is gone for good or in the trash; ``state`` says so."""

    name: str
    words: list[str]
    href: str | None
    thumbnail: str | None
    state: str = ""
    is_here: bool = False


@dataclass(frozen=True)
class Child:
    asset: Asset
    words: list[str]
    href: str
    thumbnail: str


@dataclass(frozen=True)
class AssetView:
    """``home`` is the path of the page, ``query`` keeps the mode. ``original`` is a URL of the
    file if browsers show or play it. ``added_by`` is None where it is unknown."""

    asset: Asset
    home: str
    library: str
    query: str
    thumbnail: str
    original: str | None
    public_url: str | None
    added_by: str | None
    tree: Tree
    chain: list[Step]
    children: list[Child]
    children_in_all: int
    may_change: bool
    has_workspace: bool

    @property
    def is_video(self) -> bool:
        return self.asset.media_type == MediaType.VIDEO

    @property
    def moves(self) -> bool:
        """Whether the picture is an animation that browsers play by themselves."""
        return self.asset.frames > 1 and self.original is not None

    @property
    def may_label(self) -> bool:
        return self.may_change and self.has_workspace

    @property
    def format(self) -> str:
        return wording.format_name(self.asset.kind)

    @property
    def origin(self) -> str:
        return wording.origin_of(self.asset.origin)

    @property
    def collection(self) -> str:
        """The path of its collection, in words; empty without one."""
        return " / ".join(node.name for node in self.tree.path_to(self.asset.collection_id))

    def path(self, rest: str = "") -> str:
        """The address of a part of the page, in this mode."""
        return f"{self.home}{rest}{self.query}"

    def tagged(self, tag: str) -> str:
        """The address of the library's images with a tag."""
        return links.in_mode(f"{self.library}?{AssetQuery().link(tags=[tag])}")


def read(session: TenantSession, asset_id: str) -> AssetView:
    """Raises NotFound."""
    asset, who = assets.get(session, asset_id), principal()
    ancestors = provenance.ancestors_of(session, asset)
    children = provenance.children_of(session, asset, MOST_CHILDREN)
    public = publishing.path_of(asset)
    return AssetView(
        asset=asset,
        home=_home(asset.id),
        library=f"/dashboard/{who.slug}/library",
        query=links.in_mode(""),
        thumbnail=links.thumbnail(asset.thumbnail_key),
        original=_original(asset),
        public_url=links.absolute(public) if public else None,
        added_by=_added_by(session, asset),
        tree=collection_tree.read(session),
        chain=_chain(asset, ancestors),
        children=[_child(child) for child in children.assets],
        children_in_all=children.total,
        may_change=who.may(Action.CHANGE_IMAGES),
        has_workspace=who.has_workspace,
    )


def download_url(asset: Asset, *, inline: bool) -> str:
    """A signed URL of the original under its name."""
    file = ImageFile.of(asset)
    name = Names().unique(file.name, file.extension)
    return links.download(file.storage_key, name, file.mime_type, now() + URL_VALID, inline=inline)


def _original(asset: Asset) -> str | None:
    """Pages show test data with the watermark only; downloads are what the person sent."""
    kind = Source(asset.kind)
    if kind in PLAYED_BY_BROWSERS or (kind in SHOWN_BY_BROWSERS and principal().is_live):
        return download_url(asset, inline=True)
    return None


def _added_by(session: TenantSession, asset: Asset) -> str | None:
    if not (asset.added_by_kind and asset.added_by_id):
        return None
    actor = Actor(ActorKind(asset.added_by_kind), asset.added_by_id)
    name = activity.names_of(session, [actor])[actor]
    return f"the key {name}" if actor.kind is ActorKind.KEY else name


def _chain(asset: Asset, ancestors: Sequence[Ancestor]) -> list[Step]:
    """From the oldest known ancestor to the asset; empty for what was made of nothing here."""
    if not ancestors:
        return []
    steps = [_step(ancestor) for ancestor in reversed(ancestors)]
    here = Step(
        name=asset.name,
        words=wording.words_of(asset.operations),
        href=None,
        thumbnail=links.thumbnail(asset.thumbnail_key),
        is_here=True,
    )
    return [*steps, here]


def _step(ancestor: Ancestor) -> Step:
    if ancestor.asset:
        found = ancestor.asset
        href = links.in_mode(_home(found.id))
        return Step(found.name, _words(found), href, links.thumbnail(found.thumbnail_key))
    if ancestor.trashed:
        return Step(ancestor.trashed.name, _words(ancestor.trashed), None, None, "In the trash")
    return Step("An image", [], None, None, "Deleted for good")


def _words(found: AssetFields) -> list[str]:
    return wording.words_of(found.operations) or [wording.origin_of(found.origin)]


def _child(child: Asset) -> Child:
    words = wording.words_of(child.operations)
    href = links.in_mode(_home(child.id))
    return Child(child, words, href, links.thumbnail(child.thumbnail_key))


def _home(asset_id: str) -> str:
    return f"/dashboard/{principal().slug}/assets/{asset_id}"


METADATA = {
    "camera": "Camera",
    "lens": "Lens",
    "exposure": "Exposure",
    "taken_at": "Taken at",
    "software": "Software",
    "author": "Author",
    "copyright": "Copyright",
    "profile": "Colour space",
}
TURNED = {
    2: "mirrored", 3: "turned by 180°", 4: "upside down, mirrored", 5: "turned left, mirrored",
    6: "turned by 90°", 7: "turned right, mirrored", 8: "turned by 270°",
}  # fmt: skip
"""What Exif's orientation asks for."""


def facts_of(metadata: dict[str, Any]) -> list[tuple[str, str]]:
    """Metadata as a list of facts, as pages show it."""
    facts = [(title, metadata[name]) for name, title in METADATA.items() if metadata.get(name)]
    if metadata.get("has_place"):
        facts.insert(0, ("Place", "The file tells where it was taken."))
    if turned := TURNED.get(metadata.get("orientation", 1)):
        facts.append(("Orientation", f"Stored {turned}; shown upright"))
    blocks = [name for name, key in (("XMP", "has_xmp"), ("IPTC", "has_iptc")) if metadata.get(key)]
    if blocks:
        facts.append(("Also holds", " and ".join(blocks)))
    return facts + [("Comment", comment) for comment in metadata.get("comments", ())]
