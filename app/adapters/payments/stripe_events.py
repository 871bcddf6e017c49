"""The messages of Stripe's webhooks."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.adapters.payments import stripe_payload
from app.adapters.payments.interface import Event, InvalidSignature


def _reference(thing: object) -> object:
    """The id of what is given by its id, or whole."""
    return thing.get("id") if isinstance(thing, dict) else thing


Id = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]
Reference = Annotated[Id | None, BeforeValidator(_reference)]


class _About(BaseModel):
    """What an event is about."""

    model_config = ConfigDict(strict=True)

    object: str
    id: Id | None = None
    customer: Reference = None
    charge: Reference = None


class _Data(BaseModel):
    object: _About


class _Event(BaseModel):
    """The fields of a snapshot event that are read. ``created`` is in seconds, until the year
    9999."""

    model_config = ConfigDict(strict=True)

    id: Id
    type: Annotated[Id, Field(max_length=100)]
    livemode: bool
    created: Annotated[int, Field(ge=0, lt=253_402_300_800)]
    data: _Data


def read(payload: bytes, *, live: bool) -> Event:
    """The event of a body whose signature was checked. Raises InvalidSignature if it is none, or
    not of this mode."""
    try:
        event = _Event.model_validate_json(payload)
    except ValidationError:
        raise InvalidSignature("it is no event") from None
    if event.livemode != live:
        raise InvalidSignature("it is of the other mode, live or test")
    created_at = datetime.fromtimestamp(event.created, UTC)
    subject = _subject(event.data.object)
    return Event(event.id, event.type, created_at, subject, stripe_payload.kept(payload))


def _subject(about: _About) -> str | None:
    """The id of the charge that a dispute is about; all other events that we listen to are about a
    customer."""
    match about.object:
        case "customer":
            return about.id
        case "dispute":
            return about.charge
    return about.customer
