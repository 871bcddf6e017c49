"""What the descriptions of all endpoints share."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from app.web.errors import ErrorBody

SECURITY: list[dict[str, list[Any]]] = [{"bearer": []}, {"apiKey": []}]
"""Either header authenticates."""


class Body(BaseModel):
    """A JSON request body: unknown fields are refused, types are not coerced."""

    model_config = ConfigDict(extra="forbid", strict=True)


def errors(*statuses: int) -> dict[int | str, Any]:
    """The error answers of an endpoint, for its ``responses``; every endpoint may answer 429 and 503."""
    return dict.fromkeys(sorted({*statuses, 429, 500, 503}), ErrorBody)
