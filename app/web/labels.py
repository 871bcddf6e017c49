"""What clients may write at an asset."""

from typing import Annotated

from pydantic import AfterValidator, Field

from app.services.library.labels import MAX_TAGS
from app.web.schema import Printable

OneTag = Annotated[str, Field(min_length=1, max_length=64), Printable]
Tags = Annotated[
    list[OneTag],
    Field(max_length=MAX_TAGS),
    AfterValidator(lambda tags: list(dict.fromkeys(tags))),
]
