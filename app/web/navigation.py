"""The links at the side of pages."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    text: str
    icon: str
    href: str
    is_current: bool


@dataclass(frozen=True)
class Group:
    title: str
    entries: list[Entry]
