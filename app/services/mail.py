"""The outbox: mails are rows, written in the transaction that causes them and sent by a job after
it."""

import unicodedata
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from css_inline import CSSInliner
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from app.models import Mail, new_id
from app.tenancy import TenantSession

TEMPLATES = Path(__file__).resolve().parent.parent.parent / "templates"
SUBJECT_CHARACTERS = 150
VALUE_CHARACTERS = 500
"""The most that is shown of one value. Names are up to 255 characters long, links about 100."""
DIRECTION_MARKS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def queue(session: TenantSession, to: str, letter: str, now: datetime, **values: object) -> None:
    """Put a mail into the outbox; ``written`` says how it is made."""
    session.add(written(to, letter, now, **values))


def written(to: str, letter: str, now: datetime, **values: object) -> Mail:
    """A mail. ``letter`` names the templates ``mail/<letter>.txt``, whose first line is the
    subject, and ``.html``; both extend a layout. Links in ``values`` are absolute URLs; the filter
    ``date`` writes a datetime.

    Values may be anything that a stranger has typed: each is written on one line, and escaped in
    HTML.
    """
    subject, text = _text_of(letter, values)
    return Mail(
        id=new_id("mail", now),
        recipient=to,
        subject=subject,
        text=text,
        html=_html_of(letter, {**values, "subject": subject}),
        created_at=now,
        next_attempt_at=now,
    )


def _text_of(letter: str, values: dict[str, object]) -> tuple[str, str]:
    """The subject and the text."""
    written = _templates().get_template(f"mail/{letter}.txt").render(values)
    subject, _, text = written.lstrip().partition("\n")
    return _shortened(subject.strip(), SUBJECT_CHARACTERS), f"{text.strip()}\n"


def _html_of(letter: str, values: dict[str, object]) -> str:
    html = _templates().get_template(f"mail/{letter}.html").render(values)
    return _inliner().inline(html)


@lru_cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        finalize=_on_one_line,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["date"] = _date
    return environment


@lru_cache
def _inliner() -> CSSInliner:
    """Puts the styles onto the elements; media queries stay in the head."""
    return CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


def _date(moment: datetime) -> str:
    """``24 Nov 2026``, in UTC."""
    return f"{moment:%d %b %Y}".lstrip("0")


def _on_one_line(value: object) -> object:
    """A value as one short line without control characters and direction marks, so that it can't
    pass for a part of the mail."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    line = " ".join(value.split())
    shown = [
        character
        for character in line
        if unicodedata.category(character) not in ("Cc", "Cs")
        and unicodedata.bidirectional(character) not in DIRECTION_MARKS
    ]
    return _shortened("".join(shown), VALUE_CHARACTERS)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
