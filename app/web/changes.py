"""What an entry of a log says that changed, in words."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from app.web.formats import local

CAPITAL = re.compile("[A-Z]")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")


class Changed(Protocol):
    """An entry with two states, of which ``after`` names all that differs."""

    @property
    def before(self) -> Mapping[str, Any]: ...
    @property
    def after(self) -> Mapping[str, Any]: ...


def changes_of(entry: Changed, zone: str) -> Iterator[tuple[str, str, str]]:
    """What changed, as (name, before, after). The name is in words: ``timeZone`` and ``time_zone``
    are "Time zone".
    ``zone`` is the time zone that moments are written in."""
    for name, after in entry.after.items():
        yield (
            _words(name).capitalize(),
            _shown(entry.before.get(name), zone),
            _shown(after, zone) or "none",
        )


def as_text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False)


def _words(name: str) -> str:
    return CAPITAL.sub(lambda found: f" {found[0].lower()}", name).replace("_", " ")


def _shown(value: Any, zone: str) -> str:
    """A value of an entry. Times come in ISO 8601."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_shown(one, zone) for one in value) or "none"
    if isinstance(value, dict):
        pairs = (f"{_words(name)} {_shown(one, zone) or 'none'}" for name, one in value.items())
        return ", ".join(pairs) or "none"
    if isinstance(value, str) and TIME.fullmatch(value):
        return local(datetime.fromisoformat(value), zone)
    return str(value)
