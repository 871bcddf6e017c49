"""Which assets a list is to show."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from app.models import MediaType
from app.services.library import facet_counts, folding

SIZES, DATES, PUBLISHED = "sizes", "dates", "published"
"""What a filter may ask for that no facet knows, and an index does."""


@dataclass(frozen=True)
class Filter:
    """Assets must match every field that is given.

    ``q`` are words of which each stands somewhere in the name, the original name or a tag; case and
    accents count neither in them nor in ``tags``. ``kinds`` are detected formats, of which one is
    enough. Sizes are bytes, both included. ``uploaded_before`` is the first moment that is too
    late.
    """

    q: str | None = None
    media_type: MediaType | None = None
    collection_id: str | None = None
    tags: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    min_size: int | None = None
    max_size: int | None = None
    uploaded_from: datetime | None = None
    uploaded_before: datetime | None = None
    is_published: bool | None = None

    @cached_property
    def words(self) -> list[str]:
        """The words of ``q``, as the searched texts are stored, the longest first."""
        return folding.words_of(self.q or "")

    @cached_property
    def tag_keys(self) -> list[str]:
        return list(dict.fromkeys(map(folding.tag_key, self.tags)))

    @property
    def single_facets(self) -> list[str]:
        """The conditions that are facets of ``facet_counts``, but for the kinds."""
        facets = [] if self.media_type is None else [facet_counts.of_type(self.media_type)]
        if self.collection_id is not None:
            facets.append(facet_counts.of_collection(self.collection_id))
        return facets + [facet_counts.of_tag(key) for key in self.tag_keys]

    @property
    def kind_facets(self) -> list[str]:
        """Facets of which each asset has one."""
        return [facet_counts.of_kind(kind) for kind in dict.fromkeys(self.kinds)]

    @property
    def ranges(self) -> list[str]:
        """Those of ``SIZES``, ``DATES`` and ``PUBLISHED`` that it asks for."""
        asked = {
            SIZES: self.min_size is not None or self.max_size is not None,
            DATES: self.uploaded_from is not None or self.uploaded_before is not None,
            PUBLISHED: bool(self.is_published),
        }
        return [name for name, is_asked in asked.items() if is_asked]

    @property
    def conditions(self) -> int:
        """How many things it asks for besides words."""
        unpublished = int(self.is_published is False)
        return len(self.single_facets) + bool(self.kinds) + len(self.ranges) + unpublished

    @property
    def is_single(self) -> bool:
        """Whether it asks for at most one thing, of which the number is kept or easily counted."""
        return not self.words and self.conditions <= 1 and self.is_published is not False

    @property
    def can_match(self) -> bool:
        """Whether every text is valid in the databases."""
        texts = "".join((*self.words, self.collection_id or "", *self.tag_keys, *self.kinds))
        return not any(
            character == "\0" or "\ud800" <= character <= "\udfff" for character in texts
        )
