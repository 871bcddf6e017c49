"""How templates write sizes, counts, money and moments: ``{{ 1250000 | size }}``."""

from datetime import UTC, date, datetime, timedelta
from zlib import crc32
from zoneinfo import ZoneInfo

from flask import Flask

from app.web.context import now

WEEK = timedelta(days=7)
HUES = 8


def init_app(app: Flask) -> None:
    app.jinja_env.filters |= {
        "size": size,
        "count": count,
        "money": money,
        "percent": percent,
        "day": day,
        "last_day": last_day,
        "exact": exact,
        "iso": iso,
        "local": local,
        "relative": relative,
        "initials": initials,
        "hue": hue,
    }


def size(value: int) -> str:
    """A number of bytes in units of 1,024, with three digits: ``195 KB``, ``1.19 MB``, ``1 TB``."""
    amount, unit = float(value), "bytes"
    for larger in ("KB", "MB", "GB", "TB"):
        if round(amount) < 1000:
            break
        amount, unit = amount / 1024, larger
    digits = 2 if amount < 10 else 1 if amount < 100 else 0
    written = f"{amount:,.{0 if unit == 'bytes' else digits}f}"
    return f"{written.rstrip('0').rstrip('.') if '.' in written else written} {unit}"


def count(value: int) -> str:
    """``12,480``."""
    return f"{value:,}"


def money(cents: int, currency: str = "usd") -> str:
    """``$29``, ``$31.50``; in other currencies ``31.50 EUR``."""
    amount = f"{abs(cents) / 100:,.2f}".removesuffix(".00")
    sign = "−" if cents < 0 else ""
    return f"{sign}${amount}" if currency == "usd" else f"{sign}{amount} {currency.upper()}"


def percent(part: int, whole: int) -> str:
    """How much ``part`` is of ``whole``: ``71 %``; of nothing, ``0 %``."""
    return f"{round(100 * part / whole) if whole else 0} %"


def day(moment: date) -> str:
    """``24 Nov 2026``; of a moment, the day in UTC."""
    if isinstance(moment, datetime):
        moment = moment.astimezone(UTC)
    return f"{moment.day} {moment:%b %Y}"


def last_day(end: datetime) -> str:
    """The last day in UTC that something which ends at this moment holds, for a field of a form:
    ``2026-11-24``."""
    return (end - timedelta(microseconds=1)).astimezone(UTC).date().isoformat()


def exact(moment: datetime) -> str:
    """``24 Nov 2026, 16:05 UTC``."""
    return f"{day(moment)}, {moment.astimezone(UTC):%H:%M} UTC"


def local(moment: datetime, zone: str) -> str:
    """``24 Nov 2026, 17:05`` in a time zone of the IANA database."""
    there = moment.astimezone(ZoneInfo(zone))
    return f"{there.day} {there:%b %Y, %H:%M}"


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def relative(moment: datetime) -> str:
    """``2 hours ago``, ``in 3 days``; farther than seven days away, the day."""
    distance = now() - moment
    if abs(distance) >= WEEK:
        return day(moment)
    seconds = abs(distance).total_seconds()
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            number = int(seconds // length)
            written = f"{number} {unit}{'s' * (number != 1)}"
            return f"{written} ago" if distance > timedelta(0) else f"in {written}"
    return "just now" if distance >= timedelta(0) else "in less than a minute"


def initials(name: str) -> str:
    """Up to two letters: ``NS`` of "Nordlicht Studio", ``I`` of an e-mail."""
    words = [word for word in name.partition("@")[0].split() if word[0].isalnum()]
    return "".join(word[0] for word in words[:2]).upper() or "?"


def hue(name: str) -> int:
    """One of the avatars' colours, always the same for a name or an id."""
    return crc32(name.encode()) % HUES
