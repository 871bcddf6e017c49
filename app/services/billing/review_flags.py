"""Organizations that staff should look into. A flag changes nothing for the organization itself."""

from datetime import datetime

from app.models import Actor, Organization
from app.services import audit
from app.tenancy import TenantSession

DISPUTE = "The charge {} is disputed."


def set_flag(
    session: TenantSession,
    reason: str | None,
    actor: Actor,
    now: datetime,
    event_id: str | None = None,
) -> str | None:
    """Flag the session's organization, or remove the flag if ``reason`` is None. Returns the
    previous reason."""
    organization = session.get_one(Organization, session.org_id, with_for_update=True)
    before, organization.flag = organization.flag, reason
    audit.record(
        session, actor, "organization.flagged", {"flag": before}, {"flag": reason}, now, event_id
    )
    return before


def is_dispute(reason: str | None) -> bool:
    """Whether a flag is about a disputed charge; other flags are for staff only."""
    return reason is not None and reason.startswith(DISPUTE.partition("{}")[0])
