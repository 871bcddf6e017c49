"""An event's body as it may be kept: without people, and without links that open unasked."""

import json
import math
import re
from typing import Any

MAX_BYTES = 64 * 1024
"""Of the JSON that is kept."""
REMOVED = "[removed]"
PERSONAL = re.compile(
    r"(^|_)(email|name|phone|address|shipping|evidence|ip|url|pdf|secret)(es|s)?$"
)
"""How keys of people's data end, and of links and secrets that need no sign-in."""
MAIL = re.compile(r"[^\s@<>\"']{1,100}(@[^\s@<>\"']{1,255})+")


def kept(body: bytes) -> dict[str, Any] | None:
    """The event without what names people; None if it is longer than ``MAX_BYTES``, or no JSON
    object."""
    try:
        event = _without_people(json.loads(body))
        if isinstance(event, dict) and len(json.dumps(event).encode()) <= MAX_BYTES:
            return event
    except (ValueError, RecursionError):
        pass
    return None


def _without_people(value: Any) -> Any:
    """Texts lose what a database or a page does not take, numbers that are none become null."""
    match value:
        case dict():
            return {
                _text(key): REMOVED if PERSONAL.search(key) and one else _without_people(one)
                for key, one in value.items()
            }
        case list():
            return [_without_people(one) for one in value]
        case str():
            return _text(value)
        case float() if not math.isfinite(value):
            return None
    return value


def _text(text: str) -> str:
    tidy = text.replace("\0", "").encode(errors="replace").decode()
    return MAIL.sub(REMOVED, tidy)
