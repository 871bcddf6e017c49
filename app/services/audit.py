"""The audit log: who changed what, and when."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.models import Actor, ActorKind, AuditEntry, new_id
from app.tenancy import TenantSession


def record(
    session: TenantSession,
    actor: Actor,
    action: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    now: datetime,
    event_id: str | None = None,
) -> None:
    """Record the values that differ between two states of the session's organization, if any do.
    Datetimes are written in ISO 8601. Where our own people sit is for the staff's log only."""
    old, new = changes(before, after)
    if not new:
        return
    session.add(
        AuditEntry(
            id=new_id("aud", now),
            actor=actor,
            action=action,
            before=old,
            after=new,
            event_id=event_id,
            address=None if actor.kind is ActorKind.STAFF else actor.address,
            created_at=now,
        )
    )


def changes(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values that differ between two states, as JSON has them: before, and after."""
    changed = [name for name in after if before.get(name) != after[name]]
    old, new = ({name: _plain(state.get(name)) for name in changed} for state in (before, after))
    return old, new


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
