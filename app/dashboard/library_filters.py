"""The filters of the library's page: as chips that take one away, and as fields of forms."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl

from app.dashboard import wording
from app.models import MediaType
from app.web.asset_filters import AssetQuery
from app.web.formats import size

TYPES = {MediaType.IMAGE: "Images", MediaType.VIDEO: "Videos"}


@dataclass(frozen=True)
class Chip:
    """A filter that holds. ``without`` is the address of the list without it; ``fields`` are those
    of the query that it stands for."""

    text: str
    icon: str
    without: str
    fields: tuple[str, ...]


def chips_of(asked: AssetQuery, collection: str | None, path: Callable[[str], str]) -> list[Chip]:
    """A chip for each filter that holds, in the order of the query's fields. ``collection`` is the
    name of the one that is asked for, None if there is no such."""
    return [
        Chip(text, icon, path(asked.link(**without)), tuple(without))
        for text, icon, without in _filters(asked, collection)
    ]


def fields_of(asked: AssetQuery) -> list[tuple[str, str]]:
    """The query as fields of a form, of the first page."""
    return parse_qsl(asked.link(), keep_blank_values=True)


def _filters(
    asked: AssetQuery, collection: str | None
) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Text, icon, and what changes when it is taken away."""
    if asked.q:
        yield f"“{asked.q}”", "search", {"q": ""}
    if asked.type:
        yield (
            TYPES[asked.type],
            "film" if asked.type is MediaType.VIDEO else "image",
            {"type": None},
        )
    if asked.collectionId:
        yield collection or "A collection that is gone", "folder", {"collectionId": None}
    for tag in asked.tags:
        yield tag, "tag", {"tags": [other for other in asked.tags if other != tag]}
    for kind in asked.kind:
        others = [other for other in asked.kind if other != kind]
        yield wording.format_name(kind.value), "image", {"kind": others}
    if asked.minSize is not None or asked.maxSize is not None:
        yield _range(asked.minSize, asked.maxSize), "scaling", {"minSize": None, "maxSize": None}
    if asked.uploadedAfter or asked.uploadedBefore:
        without: dict[str, object] = {"uploadedAfter": None, "uploadedBefore": None}
        yield _period(asked.uploadedAfter, asked.uploadedBefore), "calendar", without
    if asked.published is not None:
        yield "Published" if asked.published else "Not published", "globe", {"published": None}


def _range(least: int | None, most: int | None) -> str:
    if most is None:
        return f"From {size(least or 0)}"
    return f"Up to {size(most)}" if least is None else f"{size(least)} to {size(most)}"


def _period(first: str | None, last: str | None) -> str:
    if last is None:
        return f"Since {first}"
    return f"Until {last}" if first is None else f"{first} to {last}"
