"""Models whose JSON schema is needed often: errors for every endpoint, queries for every
request."""

from functools import cache
from typing import Any

from pydantic import BaseModel


class Described(BaseModel):
    """A model that caches its JSON schema. Callers must not change the schema."""

    @classmethod
    @cache
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]  # the cache hides it
        return super().model_json_schema(*args, **kwargs)
