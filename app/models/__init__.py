"""The tables. Importing this package declares them all."""

from app.models.directory import ApiKey, Membership, Mode, Organization, Plan, Role, User
from app.models.idempotency import IdempotentRequest
from app.models.types import UtcDateTime, new_id
from app.models.usage import EntryState, UsageCounter, UsageEntry

__all__ = [
    "ApiKey",
    "EntryState",
    "IdempotentRequest",
    "Membership",
    "Mode",
    "Organization",
    "Plan",
    "Role",
    "UsageCounter",
    "UsageEntry",
    "User",
    "UtcDateTime",
    "new_id",
]
