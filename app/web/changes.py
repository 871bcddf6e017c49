"""What an entry of a log says that changed, in words."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from app.web.formats import local

CAPITAL = re.compile("[A-Z]")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")


def changes(
    before: Mapping[str, Any], after: Mapping[str, Any], zone: str
) -> Iterator[tuple[str, str, str]]:
    """What changed, as (name, before, after). The name is in words: ``timeZone`` is "Time zone".
    Times are those of ``zone``, an IANA name."""
    for name, new in after.items():
        words = CAPITAL.sub(lambda found: f" {found[0].lower()}", name).capitalize()
        yield words, _shown(before.get(name), zone), _shown(new, zone) or "none"


def as_text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False)


def _shown(value: Any, zone: str) -> str:
    """A value of an entry. Times come in ISO 8601."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_shown(one, zone) for one in value) or "none"
    if isinstance(value, str) and TIME.fullmatch(value):
        return local(datetime.fromisoformat(value), zone)
    return str(value)
