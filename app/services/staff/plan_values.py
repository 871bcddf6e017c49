"""The values of a plan as a form has them."""

from collections.abc import Mapping
from typing import Any

from app.models import FREE, Plan

TEXTS = {"name": 64, "tagline": 160, "price_text": 80}
"""Texts that may be left empty, and their longest lengths."""
LARGEST = 2**31 - 1
"""What a column of the database takes."""
NUMBERS = {
    "price_cents": 10_000_000,
    "monthly_images": LARGEST,
    "requests_per_second": 10_000,
    "storage_mb": LARGEST,
    "file_mb": LARGEST,
    "batch_files": 10_000,
}
WITHOUT_LIMIT = frozenset({"price_cents", "monthly_images", "storage_mb"})
"""Numbers that may be left empty: without limit, or a price by contract."""
CHOICES = ("workspace_api", "listed")
MAX_DIGITS = 12


def form_of(values: Mapping[str, Any]) -> dict[str, str]:
    """What the form's fields hold for these values: a price is in dollars."""
    texts = {name: values[name] or "" for name in TEXTS}
    numbers = {
        name: "" if values[name] is None else str(values[name])
        for name in NUMBERS
        if name != "price_cents"
    }
    choices = {name: "1" if values[name] else "" for name in CHOICES}
    return texts | numbers | choices | {"price_cents": dollars(values["price_cents"])}


def dollars(cents: int | None) -> str:
    """``29``, ``31.50``; empty for no price."""
    return "" if cents is None else f"{cents // 100}.{cents % 100:02}".removesuffix(".00")


def read(form: Mapping[str, str], plan: Plan, largest_mb: int) -> tuple[dict[str, Any], list[str]]:
    """The values of a form, and what is wrong with it as ``field: problem``. ``largest_mb`` is the
    largest file that the server takes; what ``plan`` has already stays allowed."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, length in TEXTS.items():
        text = " ".join(form.get(name, "").replace("\0", "").split())
        values[name] = text or None
        if len(text) > length or not text.isprintable():
            problems.append(f"{name}: write up to {length} characters")
    mosts = NUMBERS | {"file_mb": max(largest_mb, plan.file_mb)}
    for name, most in mosts.items():
        value, problem = _number(form.get(name, "").strip(), name, most)
        values[name] = value
        if problem:
            problems.append(f"{name}: {problem}")
    values |= {name: form.get(name) == "1" for name in CHOICES}
    return values, problems


def problem_of(code: str, values: Mapping[str, Any]) -> str | None:
    """What is wrong with the values together, as ``field: problem``, or None."""
    price = values["price_cents"]
    if code == FREE and price != 0:
        return "price_cents: this plan holds where nothing is paid, so it costs 0"
    if code == FREE and not values["listed"]:
        return "listed: everybody begins on this plan, so it stays listed"
    if code != FREE and price == 0:
        return "price_cents: only FREE costs nothing; leave it empty for a plan by contract"
    return None


def _number(text: str, name: str, most: int) -> tuple[int | None, str]:
    """The number that a field holds, and what is wrong with it, or an empty text."""
    if not text:
        return None, "" if name in WITHOUT_LIMIT else f"write a number from 1 to {most:,}"
    if name == "price_cents":
        return _cents(text, most)
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        return None, f"write a whole number from 1 to {most:,}"
    number = int(text)
    return number, "" if 1 <= number <= most else f"write a number from 1 to {most:,}"


def _cents(text: str, most: int) -> tuple[int | None, str]:
    whole, _, part = text.removeprefix("$").replace(",", "").partition(".")
    digits = f"{whole}{part:0<2}"
    is_amount = digits.isascii() and digits.isdigit() and len(part) <= 2
    if not whole or not is_amount or len(digits) > MAX_DIGITS or int(digits) > most:
        return None, f"write an amount in dollars up to {most // 100:,}, such as 29 or 31.50"
    return int(digits), ""
