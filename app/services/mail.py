"""The outbox: mails are rows, written in the transaction that causes them and sent by a job after
it."""

from datetime import datetime
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app.models import Mail, new_id
from app.tenancy import TenantSession

TEMPLATES = Path(__file__).resolve().parent.parent.parent / "templates"


@lru_cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def queue(session: TenantSession, to: str, letter: str, now: datetime, **values: object) -> None:
    """Put a mail into the outbox. ``letter`` names the templates ``mail/<letter>.txt``, whose first
    line is the subject, and ``.html``. Links in ``values`` are absolute URLs."""
    subject, _, text = (
        _templates().get_template(f"mail/{letter}.txt").render(values).partition("\n")
    )
    html = _templates().get_template(f"mail/{letter}.html").render(values)
    session.add(
        Mail(
            id=new_id("mail", now),
            recipient=to,
            subject=subject[:255],
            text=text.strip(),
            html=html,
            created_at=now,
            next_attempt_at=now,
        )
    )
