"""What staff type into the forms that change an organization. Each raises BadRequest with the
problem of each field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from app.errors import BadRequest
from app.services.accounts.plan_limits import RAISABLE
from app.services.filenames import one_line
from app.services.usage.corrections import MOST

Form = Mapping[str, str]
SEVERAL = "Some fields are not right."
LAST_DAY = timedelta(days=3650)
"""How far away the end of a grant may be."""
TEXT_CHARACTERS = {"told": 500, "flag": 255}
ID_CHARACTERS = 32
NAME_CHARACTERS = 255
NUMBER = re.compile(r"[0-9]{1,15}|[0-9]{1,3}(?:([ ,.'’])[0-9]{3})(?:\1[0-9]{3}){0,3}")
"""A whole number, whose thousands may be apart. A mark anywhere else may be meant as a point."""
MOST_OF = {
    "monthly_images": 1_000_000_000,
    "requests_per_second": 10_000,
    "storage_mb": 1_000_000_000,
    "file_mb": 2_000,
    "batch_files": 5_000,
}
"""The highest limit that may be given."""


@dataclass(frozen=True)
class Grant:
    plan: str
    until: datetime | None

    @classmethod
    def read(cls, form: Form, now: datetime) -> "Grant":
        return cls(_one_line(form, "plan", ID_CHARACTERS), _end(form, now))


@dataclass(frozen=True)
class Raise:
    """The limits that are raised; none if all fields were left empty."""

    limits: dict[str, int]
    until: datetime | None

    @classmethod
    def read(cls, form: Form, now: datetime) -> "Raise":
        limits, problems = dict[str, int](), list[str]()
        for name in RAISABLE:
            if not (typed := form.get(name, "").strip()):
                continue
            number = _number(typed, MOST_OF[name])
            if number is None:
                problems.append(f"{name}: enter a whole number from 1 to {MOST_OF[name]:,}")
            else:
                limits[name] = number
        if problems:
            raise BadRequest.of_fields(problems, SEVERAL)
        return cls(limits, _end(form, now))


@dataclass(frozen=True)
class Correction:
    """``images`` is negative for a credit. ``once`` names the form."""

    images: int
    once: str

    @classmethod
    def read(cls, form: Form) -> "Correction":
        number, way = _number(form.get("images", ""), MOST), form.get("way", "")
        problems = []
        if number is None:
            problems.append(f"images: enter a whole number from 1 to {MOST:,}")
        if way not in ("credit", "correction"):
            problems.append("way: choose whether images are taken away or added")
        if not (once := _one_line(form, "once", ID_CHARACTERS)):
            problems.append("form: open the page anew, then try again")
        if number is None or problems:
            raise BadRequest.of_fields(problems, SEVERAL)
        return cls(-number if way == "credit" else number, once)


def told(form: Form) -> str:
    """What the people of a suspended organization are told."""
    return _text(form, "told", "say why, in a sentence for the organization")


def flag(form: Form) -> str:
    return _text(form, "flag", "say what staff should look into")


def key_id(form: Form) -> str:
    if not (chosen := _one_line(form, "key", ID_CHARACTERS)):
        raise BadRequest.of_fields(["key: choose a key"], "")
    return chosen


def typed_name(form: Form) -> str:
    return _one_line(form, "typed", NAME_CHARACTERS)


def _text(form: Form, name: str, problem: str) -> str:
    most = TEXT_CHARACTERS[name]
    text = _one_line(form, name, most + 1)
    if not 0 < len(text) <= most:
        raise BadRequest.of_fields([f"{name}: {problem}, of at most {most} characters"], "")
    return text


def _one_line(form: Form, name: str, most: int) -> str:
    return one_line(form.get(name, ""))[:most]


def _number(typed: str, most: int) -> int | None:
    if not NUMBER.fullmatch(typed.strip()):
        return None
    number = int(re.sub(r"\D", "", typed))
    return number if 0 < number <= most else None


def _end(form: Form, now: datetime) -> datetime | None:
    """The end of the day that was chosen, in UTC; None for no end."""
    if not (day := form.get("until", "").strip()):
        return None
    try:
        end = datetime.combine(date.fromisoformat(day), time(), UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise BadRequest.of_fields(["until: choose a day, or none"], "") from None
    if not now < end <= now + LAST_DAY:
        problem = "until: choose today or a later day, at most ten years away"
        raise BadRequest.of_fields([problem], "")
    return end
