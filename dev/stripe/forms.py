"""Parses Stripe's form encoding, whose names have brackets, such as ``line_items[0][price]``."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dev.stripe.errors import FakeStripeError, Kind


class BadParameter(FakeStripeError):
    """The request was not understood. Unlike other errors, it is not kept under an idempotency
    key."""

    def __init__(
        self, code: str | None, message: str, param: str, kind: Kind = "invalid_request_error"
    ) -> None:
        super().__init__(kind, code, message, param=param)


class Form:
    """The parameters of a request. Each is read once by name and type; ``close`` refuses those that
    were not read.

    All methods raise BadParameter. A missing parameter is None or empty.
    """

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values = dict(values)
        self._path = path
        self._parts: list[Form] = []

    def text(self, name: str) -> str | None:
        value = self._values.pop(name, None)
        if value is not None and not isinstance(value, str):
            raise BadParameter(None, f"Invalid string: {self._named(name)}", self._named(name))
        return value

    def needed(self, name: str) -> str:
        return self._present(name, self.text(name))

    def number(self, name: str) -> int | None:
        value = self.text(name)
        if value is not None and not re.fullmatch(r"-?\d{1,18}", value):
            raise BadParameter(
                "parameter_invalid_integer", f"Invalid integer: {value}", self._named(name)
            )
        return None if value is None else int(value)

    def flag(self, name: str) -> bool | None:
        value = self.text(name)
        if value not in (None, "true", "false"):
            raise BadParameter(None, f"Invalid boolean: {value}", self._named(name))
        return None if value is None else value == "true"

    def url(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not re.match(r"https?://[^\s/]", value):
            raise BadParameter("url_invalid", "Not a valid URL", self._named(name))
        return value

    def needed_url(self, name: str) -> str:
        return self._present(name, self.url(name))

    def texts(self, name: str) -> dict[str, str]:
        """A mapping, such as metadata."""
        part = self._values.pop(name, None) or {}
        if not isinstance(part, dict) or not all(isinstance(value, str) for value in part.values()):
            raise BadParameter(None, f"Invalid object: {self._named(name)}", self._named(name))
        return part

    def part(self, name: str) -> "Form":
        part = self._values.pop(name, None) or {}
        if not isinstance(part, dict):
            raise BadParameter(None, f"Invalid object: {self._named(name)}", self._named(name))
        self._parts.append(Form(part, self._named(name)))
        return self._parts[-1]

    def parts(self, name: str) -> list["Form"]:
        """An array of objects, in the order of their numbers."""
        entries = self.part(name)
        numbers = [number for number in entries._values if number.isdecimal()]
        return [entries.part(number) for number in sorted(numbers, key=int)]

    def close(self) -> None:
        for part in self._parts:
            part.close()
        for name in self._values:
            raise BadParameter(
                "parameter_unknown",
                f"Received unknown parameter: {self._named(name)}",
                self._named(name),
            )

    def __bool__(self) -> bool:
        return bool(self._values)

    def _present(self, name: str, value: str | None) -> str:
        if value:
            return value
        raise BadParameter(
            "parameter_missing", f"Missing required param: {self._named(name)}.", self._named(name)
        )

    def _named(self, name: str) -> str:
        return f"{self._path}[{name}]" if self._path else name


def read(fields: Iterable[tuple[str, str]]) -> Form:
    """Raises BadParameter for names that contradict each other."""
    values: dict[str, Any] = {}
    for name, value in fields:
        *path, last = [part.rstrip("]") for part in name.split("[")]
        place = values
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise BadParameter(None, f"Invalid object: {name}", name)
        place[last] = value
    return Form(values)
