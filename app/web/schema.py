"""Models and types that all endpoints share."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from flask import Response, jsonify
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from app.errors import BadRequest
from app.imaging import Format, Transform
from app.services.filenames import has_controls
from app.web.described import Described
from app.web.errors import ErrorBody
from app.web.forms import NULL_VALUES

SECURITY: list[dict[str, list[Any]]] = [{"bearer": []}, {"apiKey": []}]
"""Either header authenticates."""


class Body(BaseModel):
    """A JSON request body: unknown fields are refused, types are not coerced."""

    model_config = ConfigDict(extra="forbid", strict=True)


def answer(content: BaseModel, status: int = 200) -> Response:
    """Return ``content`` as a JSON response."""
    response = jsonify(content.model_dump(mode="json"))
    response.status_code = status
    return response


Unchangeable = Annotated[
    Any, Field(None, description="As it was got, or left out: it can't be changed.")
]


def check_unchanged(sent: BaseModel, fields: Iterable[str], shown: BaseModel) -> None:
    """Raise BadRequest for each of ``fields`` whose sent value differs from the shown one.

    This lets a client send back the whole object that it got.
    """
    own = shown.model_dump(mode="json")
    changed = [
        name
        for name in fields
        if name in sent.model_fields_set and not _same(getattr(sent, name), own[name])
    ]
    if changed:
        problems = [
            f"{name}: can't be changed; leave it out, or send {json.dumps(own[name])}"
            for name in changed
        ]
        raise BadRequest.of_fields(problems, "Several fields can't be changed.")


def _same(sent: object, own: object) -> bool:
    """Compare two values; times in any ISO 8601 notation, to the millisecond."""
    if sent != own and isinstance(sent, str) and isinstance(own, str):
        try:
            return _milliseconds(datetime.fromisoformat(sent)) == own
        except ValueError:
            return False
    return sent == own


def given(model: type[BaseModel], sent: dict[str, Any]) -> dict[str, Any]:
    """Return ``sent`` without optional fields of ``model`` whose text stands for a missing
    value."""
    optional = {
        field.alias or name for name, field in model.model_fields.items() if not field.is_required()
    }
    return {
        name: value
        for name, value in sent.items()
        if name not in optional or value not in NULL_VALUES
    }


class Query(Described):
    """A query string. Unknown parameters are ignored, and a value that stands for none counts as
    absent. A parameter that may be repeated is a list."""

    null_is_a_value: ClassVar[frozenset[str]] = frozenset()
    """Parameters for which ``null`` says something of its own."""

    @model_validator(mode="before")
    @classmethod
    def _without_the_absent(cls, sent: dict[str, Any]) -> dict[str, Any]:
        said = {name: sent[name] for name in cls.null_is_a_value if sent.get(name) == "null"}
        lists = {
            name: [value for value in values if value not in NULL_VALUES]
            for name, values in sent.items()
            if isinstance(values, list)
        }
        single = {name: value for name, value in sent.items() if name not in lists}
        return given(cls, single) | lists | said


def at_most(most: int) -> AfterValidator:
    """Reduce a larger page size to ``most``, because clients ask for as many as they can get."""
    return AfterValidator(lambda size: min(size, most))


def errors(*statuses: int) -> dict[int | str, Any]:
    """Return the error answers of an endpoint for ``responses``. Every endpoint may answer 429 and
    503."""
    return dict.fromkeys(sorted({*statuses, 429, 500, 503}), ErrorBody)


BREAKS = str.maketrans("\n\r\t", "   ")


def _printable(text: str) -> str:
    if has_controls(text):
        raise ValueError("must not have control characters")
    return text


def _prose(text: str) -> str:
    _printable(text.translate(BREAKS))
    return text


def _milliseconds(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Printable = AfterValidator(_printable)
Prose = AfterValidator(_prose)
"""Text that may have several lines."""
Name = Annotated[str, Field(min_length=1, max_length=255), Printable]
Id = Annotated[str, Field(min_length=1, max_length=64), Printable]
Color = Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$", examples=["#6366f1"])]
Moment = Annotated[datetime, PlainSerializer(_milliseconds, return_type=str)]
"""A moment as ``2026-04-22T21:00:00.000Z``."""


class ById(BaseModel):
    """The path of one thing. What no id can be is one that doesn't exist."""

    id: Annotated[str, AfterValidator(lambda text: text.replace("\0", ""))]


def _format(value: object) -> object:
    """``WEBP``, ``webp`` or ``image/webp``; ``jpg`` for ``jpeg``."""
    if not isinstance(value, str):
        return value
    name = value.strip().lower().removeprefix("image/")
    try:
        return Format("jpeg" if name == "jpg" else name)
    except ValueError:
        raise ValueError(f"must be one of {', '.join(shown(known) for known in Format)}") from None


def shown(chosen: Format) -> str:
    """Return a format's name as the API writes it."""
    return chosen.value.upper()


FORMATS = [shown(known) for known in Format]
AnyFormat = Annotated[
    Format | None,
    BeforeValidator(_format),
    WithJsonSchema({"anyOf": [{"type": "string", "enum": FORMATS}, {"type": "null"}]}),
]
Quality = Annotated[int, Field(ge=1, le=100)]
Side = Annotated[int, Field(ge=1, le=100_000)]


class TransformFields(BaseModel):
    """What presets, export URLs and exports have in common: how an image is transformed."""

    format: AnyFormat = Field(
        None, description="Any case, or a media type. Without it, the asset's own."
    )
    quality: Quality | None = Field(None, description="1 is smallest, 100 is best; 80 without it.")
    maxWidth: Side | None = Field(
        None, description="In pixels. Images are never enlarged.", examples=[800]
    )
    maxHeight: Side | None = Field(None, description="In pixels.", examples=[800])
    preserveAspect: bool | None = Field(
        None,
        description="False bounds each side on its own, without keeping their ratio. True without "
        "it.",
    )

    def over(self, base: Transform) -> Transform:
        """Return the requested transformation; omitted fields come from ``base``."""
        return Transform(
            format=self.format or base.format,
            quality=self.quality or base.quality,
            max_width=self.maxWidth or base.max_width,
            max_height=self.maxHeight or base.max_height,
            preserve_aspect=base.preserve_aspect
            if self.preserveAspect is None
            else self.preserveAspect,
        )
