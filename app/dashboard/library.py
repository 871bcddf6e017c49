"""``/dashboard/<slug>/library``: the images of an organization, to find, choose and sort.

The address holds the whole view: what is searched, filtered and sorted. Scripts ask for parts of it
while somebody types, scrolls or uploads; without them the same links lead to whole pages.
"""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, jsonify, request

from app.dashboard.collections import tree_of
from app.dashboard.frame import page_of
from app.dashboard.library_filters import Chip, chips_of, fields_of
from app.imaging.formats import Source
from app.models import Asset
from app.services.accounts.permissions import Action
from app.services.library import assets, bulk, collections, listing, storage_quota, tags
from app.services.library.folding import MAX_TAG
from app.services.library.listing import AssetPage, Sort
from app.tenancy import TenantSession
from app.web import links
from app.web.asset_filters import AssetQuery
from app.web.context import container, principal, workspace_transaction
from app.web.pages import page
from app.web.requirements import Member, requires

blueprint = Blueprint("library", __name__, url_prefix="/dashboard/<slug>/library")

PAGE_SIZE = 60
SUGGESTIONS = 20
MOST_AT_ONCE = 200
"""Tiles that one request may name."""
FILTERS = (
    "q", "type", "collectionId", "tags", "kind", "minSize", "maxSize", "uploadedAfter",
    "uploadedBefore", "published",
)  # fmt: skip


@dataclass(frozen=True)
class Tile:
    asset: Asset
    href: str
    thumbnail: str


@dataclass(frozen=True)
class View:
    """What ``dashboard/library/results.html`` shows, with and without a frame around it.

    ``used`` and ``limit`` are bytes of storage; ``limit`` is None without a limit. ``more`` leads
    to the next page, ``first`` to the first if this is another."""

    asked: AssetQuery
    found: AssetPage
    tiles: list[Tile]
    chips: list[Chip]
    used: int
    limit: int | None
    more: str | None
    first: str | None
    home: str
    query: str
    may_change: bool
    has_workspace: bool

    kinds = tuple(Source)

    @property
    def is_filtered(self) -> bool:
        return bool(self.chips)

    @property
    def nothing(self) -> dict[str, Any]:
        """What ``link`` needs to take all filters away."""
        return {name: AssetQuery.model_fields[name].default for name in FILTERS}

    @property
    def takes_new(self) -> bool:
        """Whether a file that is uploaded now stands first in this list."""
        others = {name for chip in self.chips for name in chip.fields} - {"collectionId"}
        return not others and self.asked.sort is Sort.UPLOADED_DESC and not self.asked.cursor

    def link(self, **changes: Any) -> str:
        """The address of this list with other values for some fields."""
        return _path(self.asked.link(**changes))


@blueprint.get("")
@requires(Member())
def index(slug: str) -> Response:
    asked = AssetQuery.read(request.args)
    with workspace_transaction() as session:
        tree = tree_of(session)
        node = tree.nodes.get(asked.collectionId or "")
        view = _view(session, asked, node.name if node else None)
    return page_of(
        "dashboard/library/library.html",
        view=view,
        tree=tree,
        chosen=asked.collectionId,
        fields=fields_of(asked),
        site=container().settings.site,
    )


@blueprint.get("/results")
@requires(Member())
def results(slug: str) -> Response:
    """The page's results alone, for the same query."""
    asked = AssetQuery.read(request.args)
    with workspace_transaction() as session:
        view = _view(session, asked, collections.name_of(session, asked.collectionId))
    return page(
        "dashboard/library/part.html", view=view, fields=fields_of(asked),
        site=container().settings.site,
    )  # fmt: skip


@blueprint.get("/tiles")
@requires(Member())
def tiles(slug: str) -> Response:
    """The tiles of the assets that ``id`` names, those that are there; else of a page of a list."""
    if ids := request.args.getlist("id")[:MOST_AT_ONCE]:
        bulk.check_ids(ids)
        with workspace_transaction() as session:
            shown = bulk.of_ids(session, ids)
        return _tiles(shown)
    asked = AssetQuery.read(request.args)
    with workspace_transaction() as session:
        found = _page(session, asked)
    return _tiles(found.assets, _next(asked, found))


@blueprint.get("/tiles/<asset_id>")
@requires(Member())
def tile(slug: str, asset_id: str) -> Response:
    """One tile, such as that of a file that was just uploaded."""
    with workspace_transaction() as session:
        return _tiles([assets.get(session, asset_id)])


@blueprint.get("/tags")
@requires(Member())
def suggest_tags(slug: str) -> Response:
    """Known tags that begin so, the most used first, as JSON."""
    beginning = request.args.get("beginning", "")[:MAX_TAG]
    with workspace_transaction() as session:
        known = tags.tags_of(session, beginning, SUGGESTIONS)
    return jsonify(tags=[one.tag for one in known])


@blueprint.get("/places")
@requires(Member())
def places(slug: str) -> Response:
    """All collections, as options of a field."""
    with workspace_transaction() as session:
        return page("dashboard/library/places.html", tree=tree_of(session))


def _view(session: TenantSession, asked: AssetQuery, collection: str | None) -> View:
    found = _page(session, asked)
    who = principal()
    return View(
        asked=asked,
        found=found,
        tiles=[_tile(asset) for asset in found.assets],
        chips=chips_of(asked, collection, _path),
        used=storage_quota.used(session),
        limit=who.allowance.storage_bytes,
        more=_next(asked, found),
        first=_path(asked.link()) if asked.cursor else None,
        home=f"/dashboard/{who.slug}",
        query=links.in_mode(""),
        may_change=who.may(Action.CHANGE_IMAGES),
        has_workspace=who.has_workspace,
    )


def _page(session: TenantSession, asked: AssetQuery) -> AssetPage:
    return listing.page_of(session, asked.filter, asked.sort, PAGE_SIZE, cursor=asked.cursor)


def _next(asked: AssetQuery, found: AssetPage) -> str | None:
    return _path(asked.link(cursor=found.next_cursor)) if found.next_cursor else None


def _tiles(shown: list[Asset], more: str | None = None) -> Response:
    return page(
        "dashboard/library/tiles.html",
        tiles=[_tile(asset) for asset in shown],
        more=more,
        may_change=principal().may(Action.CHANGE_IMAGES),
    )


def _tile(asset: Asset) -> Tile:
    href = links.in_mode(f"/dashboard/{principal().slug}/assets/{asset.id}")
    return Tile(asset, href, links.thumbnail(asset.thumbnail_key))


def _path(query: str) -> str:
    """The page's address with a query string, in the mode of this request."""
    path = f"/dashboard/{principal().slug}/library"
    return links.in_mode(f"{path}?{query}" if query else path)
