"""The tree of a workspace's collections, with the number of assets in each."""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import func, literal, select

from app.models import AssetCount, Collection
from app.services.library import facet_counts
from app.services.library.folding import sort_name
from app.tenancy import TenantSession

WHOLE = 300
"""Trees of up to this many collections are listed at once; of larger ones, what is open."""
SIBLINGS = 200
"""How many collections of one parent are listed at once."""

_sort_name = lru_cache(maxsize=20_000)(sort_name)


@dataclass(frozen=True)
class Node:
    """A collection. ``assets`` lie directly in it; ``collections`` is how many lie directly in
    it."""

    id: str
    name: str
    parent_id: str | None
    color: str | None
    assets: int
    collections: int


@dataclass(frozen=True)
class Row:
    """A line of the tree: a collection with its depth, or, without a ``node``, that ``more`` of one
    parent follow from number ``start`` on. It is ``hidden`` if a collection above it is not
    open."""

    depth: int
    parent_id: str | None
    node: Node | None = None
    is_open: bool = False
    hidden: bool = False
    more: int = 0
    start: int = 0


@dataclass(frozen=True)
class Tree:
    """All collections of a workspace. ``children`` lists those of each parent by name, as people
    count; None is the parent of the topmost. ``assets`` are all of the workspace, with and without
    a collection."""

    nodes: dict[str, Node]
    children: dict[str | None, list[Node]]
    assets: int

    def inside(self, parent_id: str | None) -> list[Node]:
        """Those directly in a collection, or the topmost."""
        return self.children.get(parent_id, [])

    def path_to(self, collection_id: str | None) -> list[Node]:
        """The collections that lead to one, the topmost first, and that one; empty for an unknown
        one."""
        path: list[Node] = []
        while collection_id is not None and (node := self.nodes.get(collection_id)):
            path.append(node)
            collection_id = node.parent_id
        return path[::-1]

    def rows(
        self, chosen: str | None = None, parent_id: str | None = None, start: int = 0
    ) -> Iterator[Row]:
        """The tree below a parent line by line, open as far as the ``chosen`` collection needs.
        Collections may lie thousands deep, so nothing here is recursive."""
        opened = {node.id for node in self.path_to(chosen)}
        depth = len(self.path_to(parent_id))
        is_whole = len(self.nodes) <= WHOLE
        waiting = self._level(parent_id, opened, depth, start)[::-1]
        while waiting:
            row = waiting.pop()
            yield row
            if row.node and (is_whole or row.is_open):
                hidden = row.hidden or not row.is_open
                inside = self._level(row.node.id, opened, row.depth + 1, hidden=hidden)
                waiting += inside[::-1]

    def _level(
        self,
        parent_id: str | None,
        opened: Set[str],
        depth: int,
        start: int = 0,
        *,
        hidden: bool = False,
    ) -> list[Row]:
        """The collections of one parent: the first ones, those that are open, how many more."""
        siblings = self.inside(parent_id)[start:]
        after = [node for node in siblings[SIBLINGS:] if node.id in opened]
        rows = [
            Row(depth, parent_id, node, node.id in opened, hidden)
            for node in siblings[:SIBLINGS] + after
        ]
        if more := len(siblings[SIBLINGS:]):
            rows.append(Row(depth, parent_id, hidden=hidden, more=more, start=start + SIBLINGS))
        return rows

    def without(self, collection_id: str) -> Iterator[tuple[Node, int]]:
        """All collections with their depth, each before those in it, without one of them and what
        lies in that: where it may be moved to."""
        waiting = [(node, 0) for node in reversed(self.inside(None))]
        while waiting:
            node, depth = waiting.pop()
            if node.id != collection_id:
                yield node, depth
                waiting += [(one, depth + 1) for one in reversed(self.inside(node.id))]


def read(session: TenantSession) -> Tree:
    """Read the whole tree: at most ``collections.MAX_COLLECTIONS``, in two statements."""
    facet = literal(facet_counts.of_collection("")) + Collection.id
    rows = session.execute(
        select(
            Collection.id,
            Collection.name,
            Collection.parent_id,
            Collection.color,
            func.coalesce(AssetCount.count, 0),
        ).outerjoin(AssetCount, AssetCount.facet == facet)
    ).all()
    numbers: dict[str | None, int] = {}
    for _, _, parent_id, _, _ in rows:
        numbers[parent_id] = numbers.get(parent_id, 0) + 1
    children: dict[str | None, list[Node]] = {}
    for row in sorted(rows, key=lambda row: (_sort_name(row.name), row.id)):
        node = Node(*row, numbers.get(row.id, 0))
        children.setdefault(node.parent_id, []).append(node)
    nodes = {node.id: node for siblings in children.values() for node in siblings}
    total = facet_counts.of(session, [facet_counts.ALL])[facet_counts.ALL]
    return Tree(nodes, children, total)
