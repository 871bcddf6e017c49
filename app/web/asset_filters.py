"""Which assets a list shows: the query string that the API and the library's pages share."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Self
from urllib.parse import quote, urlencode

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from werkzeug.datastructures import MultiDict

from app.imaging.formats import Source
from app.models import MediaType
from app.services.library.cursor import MAX_CURSOR_LENGTH, Sort
from app.services.library.labels import MAX_TAGS
from app.services.library.listing import Filter
from app.web.errors import validated
from app.web.forms import NULL_VALUES
from app.web.schema import Id, Printable, Query, at_most

MAX_OFFSET = 1_000_000
MAX_SIZE = 2**63 - 1
ONE_TAG = re.compile(r'\s*"(?P<quoted>(?:[^"]|"")*)"\s*(?:,|\Z)|(?P<plain>[^,]*)(?:,|\Z)')
"""A tag of a list: what is quoted may hold commas, and quotes that are doubled."""
LOST_PLUS = re.compile(r"(:\d\d(?:\.\d+)?) (\d\d:?\d\d)\Z")
"""The offset of a moment whose plus sign was not escaped, so that it became a space."""
OTHER_NAMES = {"jpg": "jpeg", "tif": "tiff", "heic": "heif", "quicktime": "mov"}
LIST_OF_TEXTS = WithJsonSchema({"type": "array", "items": {"type": "string"}})
PLACE = ("page", "cursor")
"""Fields that say where in a list a page is."""


def _media_type(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _each(value: object) -> list[str]:
    """The values of a parameter that may be repeated."""
    return [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else []


def _tags(value: object) -> list[str]:
    tags = [tag for text in _each(value) for tag in _tags_of(text)]
    if len(tags) > MAX_TAGS:
        raise ValueError(f"at most {MAX_TAGS} tags")
    return list(dict.fromkeys(tags))


def _tags_of(text: str) -> list[str]:
    """The tags of ``a, "b, with a comma", c``."""
    found = [
        one["plain"].strip() if one["quoted"] is None else one["quoted"].replace('""', '"')
        for one in ONE_TAG.finditer(text)
    ]
    return [tag for tag in found if tag]


def _kinds(value: object) -> list[Source]:
    names = [name.strip().lower() for text in _each(value) for name in text.split(",")]
    return list(dict.fromkeys(map(_kind, filter(None, names))))


def _kind(name: str) -> Source:
    try:
        return Source(OTHER_NAMES.get(name, name))
    except ValueError:
        raise ValueError(f"must be among {', '.join(Source)}") from None


def _moment(text: str) -> str:
    """A date as it is, a moment in UTC. Without a time zone it is UTC."""
    text = LOST_PLUS.sub(r"\1+\2", text.strip())
    try:
        moment = datetime.fromisoformat(text)
        if len(text) <= len("2026-05-01"):
            return moment.date().isoformat()
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a date or a moment, such as 2026-05-01 or "
                         "2026-05-01T12:00:00Z") from None  # fmt: skip
    return moment.isoformat().replace("+00:00", "Z")


def _first_moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _moment_after(text: str) -> datetime:
    """The first moment that is no more meant: a date's whole day is."""
    if len(text) > len("2026-05-01"):
        return _first_moment(text)
    day = date.fromisoformat(text)
    if day == date.max:
        return datetime.max.replace(tzinfo=UTC)
    return datetime.combine(day + timedelta(days=1), time(tzinfo=UTC))


Bytes = Annotated[int, Field(ge=0, le=MAX_SIZE)]
UploadedAt = Annotated[str, Field(max_length=64), Printable, AfterValidator(_moment)]


class AssetQuery(Query):
    q: Annotated[str, Field(max_length=200), Printable] = Field(
        "",
        description="Words that all stand somewhere in name, original name and tags, in any "
        "order. Case and accents don't count.",
        examples=["durer hase"],
    )
    type: Annotated[MediaType | None, BeforeValidator(_media_type)] = None
    collectionId: Id | None = None
    tags: Annotated[
        list[Annotated[str, Printable]], BeforeValidator(_tags), LIST_OF_TEXTS
    ] = Field(
        [],
        description="All of these. Repeat it, or separate tags by commas; quotes enclose a tag "
        "that holds one: `\"a, b\",c`. Case and accents don't count.",
    )  # fmt: skip
    kind: Annotated[list[Source], BeforeValidator(_kinds), LIST_OF_TEXTS] = Field(
        [],
        description="One of these formats, as the files themselves tell: "
        f"{', '.join(Source)}. Repeat it, or separate them by commas.",
    )
    minSize: Bytes | None = Field(None, description="Bytes.")
    maxSize: Bytes | None = Field(None, description="Bytes.")
    uploadedAfter: UploadedAt | None = Field(
        None,
        description="From this date or moment on (ISO 8601; UTC unless it says otherwise).",
        examples=["2026-05-01"],
    )
    uploadedBefore: UploadedAt | None = Field(
        None,
        description="Before this moment, or to the end of this date.",
        examples=["2026-05-31"],
    )
    published: bool | None = Field(None, description="Whether it has a public address.")
    sort: Sort = Field(
        Sort.UPLOADED_DESC,
        description="`-` for descending. Names are in the order in which people count: `IMG_2` "
        "before `IMG_10`.",
    )
    pageSize: Annotated[int, Field(ge=1), at_most(200)] = Field(
        50, description="More than 200 is 200."
    )
    page: int = Field(1, ge=1)
    cursor: Annotated[str, Field(max_length=MAX_CURSOR_LENGTH), Printable] | None = Field(
        None,
        description="The `nextCursor` of the page before, instead of `page`: as fast for the last "
        "page as the first.",
    )

    @field_validator("page")
    @classmethod
    def _not_too_deep(cls, value: int, info: ValidationInfo) -> int:
        if value * info.data.get("pageSize", 1) > MAX_OFFSET:
            raise ValueError(f"pages end at item {MAX_OFFSET:,}; use cursor for more")
        return value

    @classmethod
    def read(cls, sent: MultiDict[str, str]) -> Self:
        """The query of a page or a form. Raises BadRequest, as the API answers."""
        lists = {"tags", "kind"}
        known: Mapping[str, Any] = {
            name: sent.getlist(name) if name in lists else sent[name]
            for name in cls.model_fields
            if name in sent
        }
        return validated(cls, known)

    @property
    def filter(self) -> Filter:
        return Filter(
            q=self.q or None,
            media_type=self.type,
            collection_id=self.collectionId,
            tags=tuple(self.tags),
            kinds=tuple(self.kind),
            min_size=self.minSize,
            max_size=self.maxSize,
            uploaded_from=None if self.uploadedAfter is None else _first_moment(self.uploadedAfter),
            uploaded_before=None if self.uploadedBefore is None
            else _moment_after(self.uploadedBefore),
            is_published=self.published,
        )  # fmt: skip

    def link(self, **changes: Any) -> str:
        """The query string of this list, without ``?``, with other values for some fields: only
        what differs from the default, always in the same order.

        It leads to the first page unless ``page`` or ``cursor`` is among ``changes``; None takes a
        field's value away.
        """
        first_page = {name: type(self).model_fields[name].default for name in PLACE}
        values = dict(self) | first_page | changes
        return urlencode(
            [
                (name, text)
                for name, field in type(self).model_fields.items()
                if values[name] not in (None, field.default)
                for text in _written(name, values[name])
            ],
            quote_via=quote,
        )


def _written(name: str, value: object) -> list[str]:
    """The values of a parameter in a query string."""
    if name == "tags":
        return [_quoted(tag) for tag in _each(value)]
    if isinstance(value, list | tuple):
        return [str(one) for one in value]
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def _quoted(tag: str) -> str:
    """A tag as a list of tags holds it."""
    if "," in tag or tag.lstrip().startswith('"') or tag != tag.strip() or tag in NULL_VALUES:
        escaped = tag.replace('"', '""')
        return f'"{escaped}"'
    return tag
