"""What staff do to others: every change gives a reason and leaves one entry in the staff's log."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import request

from app.errors import BadRequest
from app.extensions import transaction
from app.models import Actor, ActorKind
from app.services import staff_log
from app.services.filenames import one_line
from app.services.staff_log import REASON_CHARACTERS, Acting
from app.tenancy import TenantSession
from app.web.context import now
from app.web.sessions import device, person

LEAST_REASON = 3


@dataclass
class Act:
    """A change on its way: the transaction that it is made in, and what the log will say of it.
    ``before`` and ``after`` are states, of which the log keeps what differs."""

    session: TenantSession
    who: Acting
    now: datetime
    subject: str | None = None
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    @property
    def actor(self) -> Actor:
        """For the organization's own audit log."""
        return self.who.actor


@contextmanager
def acting(
    action: str,
    *,
    org_id: str | None = None,
    subject: str | None = None,
    mode: str | None = None,
) -> Iterator[Act]:
    """Open a transaction, bound to ``org_id`` and ``mode`` if they are given, and record the change
    at its end; one that fails leaves nothing. The form's ``reason`` says why. Raises BadRequest.

    ``action`` is written ``noun.verb`` in the past, such as ``organization.suspended``.
    """
    who = Acting(staff_actor(), person().email, _reason())
    with transaction(org_id, mode) as session:
        act = Act(session, who, now(), subject)
        yield act
        staff_log.record(
            session, who, action, act.now,
            org_id=org_id, subject=act.subject, before=act.before, after=act.after,
        )  # fmt: skip


def staff_actor() -> Actor:
    """The signed-in member of staff."""
    return Actor(ActorKind.STAFF, person().user_id, device().address)


def _reason() -> str:
    """One line that people can read. Raises BadRequest."""
    reason = one_line(request.form.get("reason", ""))
    says_something = any(map(str.isalnum, reason))
    if not (says_something and LEAST_REASON <= len(reason) <= REASON_CHARACTERS):
        problem = f"reason: say why, in {LEAST_REASON} to {REASON_CHARACTERS} characters"
        raise BadRequest.of_fields([problem], "")
    return reason
