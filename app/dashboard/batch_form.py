"""The form of an export: which images, and what is done with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl

from werkzeug.datastructures import MultiDict

from app.dashboard import transform_form
from app.dashboard.transform_form import FORMATS
from app.errors import BadRequest
from app.imaging import Transform
from app.services.exports import export_choice, exports, presets
from app.services.exports.export_choice import Choice
from app.services.exports.exports import Config
from app.services.library import collections
from app.tenancy import TenantSession
from app.web.asset_filters import AssetQuery
from app.web.context import principal
from app.web.schema import TransformFields

__all__ = ["FORMATS", "Figures", "Wanted", "config", "figures", "images", "values_of", "words_of"]

ID_LENGTH = 64


@dataclass(frozen=True)
class Wanted:
    """What a form asks for: the images by their ``ids``, or by ``query``, the query string of a
    list; empty means all. ``typed`` are its other fields; a form that begins has none."""

    ids: tuple[str, ...] = ()
    query: str | None = None
    typed: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_list(cls, sent: MultiDict[str, str]) -> Self:
        """Raises BadRequest."""
        return cls(query=AssetQuery.read(sent).link())

    @classmethod
    def again(cls, session: TenantSession, export_id: str) -> Self:
        return cls(ids=tuple(export_choice.of_export(session, export_id)))

    @classmethod
    def read(cls, form: MultiDict[str, str]) -> Self:
        """The ids may stand in one field, separated by commas, or in many."""
        typed = form.to_dict() if "names" in form else {}
        if "query" in form:
            return cls(query=form["query"][:8192], typed=typed)
        ids = (one.strip() for text in form.getlist("ids") for one in text.split(","))
        return cls(tuple(one for one in ids if 0 < len(one) <= ID_LENGTH), typed=typed)

    @property
    def asked(self) -> AssetQuery:
        """The list. Raises BadRequest."""
        return AssetQuery.read(MultiDict(parse_qsl(self.query or "", keep_blank_values=True)))


@dataclass(frozen=True)
class Figures:
    """``images`` are exported, of which ``missing`` have to be made, and count. ``videos`` are left
    out; ``gone`` were deleted meanwhile."""

    images: int
    missing: int
    videos: int
    gone: int


def figures(session: TenantSession, wanted: Wanted) -> Figures:
    """Raises BadRequest, NotFound for a preset that is gone."""
    choice, transform = _choice(session, wanted), config(session, wanted).transform
    missing = exports.count_missing(session, principal(), choice.images, transform)
    return Figures(len(choice.images), missing, choice.videos, choice.gone)


def images(session: TenantSession, wanted: Wanted) -> list[str]:
    """The ids of the export's images. Raises BadRequest."""
    if not (found := _choice(session, wanted).images):
        raise BadRequest("There is no image to export. Choose some in the library.")
    return found


def config(session: TenantSession, wanted: Wanted) -> Config:
    """Raises BadRequest, NotFound for a preset that is gone."""
    by_name = wanted.typed.get("names") == "name"
    if preset_id := wanted.typed.get("preset"):
        preset = presets.by_id(session, preset_id)
        return Config(presets.transform_of(preset), by_name, preset.id)
    return Config(_transform(session, wanted), by_name)


def values_of(session: TenantSession, wanted: Wanted) -> dict[str, Any]:
    """The values of the form's fields."""
    chosen = {"preset": wanted.typed.get("preset", ""), "names": wanted.typed.get("names", "")}
    if wanted.typed:
        return chosen | transform_form.typed(wanted.typed)
    return chosen | transform_form.values_of(transform_form.defaults(session))


def words_of(session: TenantSession, wanted: Wanted) -> str:
    """Where the images come from: ``The collection “Autumn”``."""
    if wanted.query is None:
        return "The chosen images"
    asked = wanted.asked
    rest = asked.link(collectionId=None, sort=None, pageSize=None)
    if asked.collectionId is None:
        return "What the search finds" if rest else "All images of the library"
    name = collections.get(session, asked.collectionId).name
    return f"The collection “{name}”" + (", as far as the search finds it" if rest else "")


def _choice(session: TenantSession, wanted: Wanted) -> Choice:
    if wanted.query is None:
        return export_choice.of_ids(session, wanted.ids)
    asked = wanted.asked
    return export_choice.of_list(session, asked.filter, asked.sort)


def _transform(session: TenantSession, wanted: Wanted) -> Transform:
    if not wanted.typed:
        return transform_form.defaults(session)
    return transform_form.transform_of(transform_form.read(TransformFields, wanted.typed))
