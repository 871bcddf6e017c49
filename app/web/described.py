"""Models that are described again and again: an error at every endpoint, a query at every
request."""

from functools import cache
from typing import Any

from pydantic import BaseModel


class Described(BaseModel):
    """A model whose JSON schema is made once. Whoever gets it must not change it."""

    @classmethod
    @cache
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]  # the cache hides it
        return super().model_json_schema(*args, **kwargs)
