"""The tables. Importing this package declares them all."""

from app.models.actors import Actor, ActorKind
from app.models.billing import AuditEntry, BillingAccount, MeterEvent, StripeEvent
from app.models.directory import FREE, ApiKey, Membership, Mode, Organization, Plan, Role, User
from app.models.exports import Export, ExportPreset, ExportStatus, Rendition
from app.models.idempotency import IdempotentRequest
from app.models.kept import Kept, KeptBytes
from app.models.library import (
    AllowedHost,
    Asset,
    AssetCount,
    AssetTag,
    Collection,
    DiscardedObject,
    MediaType,
    StorageCounter,
    Upload,
)
from app.models.types import UtcDateTime, moment_of, new_id
from app.models.usage import (
    Counter,
    DailyCounter,
    DailyEntry,
    EntryState,
    LedgerEntry,
    UsageCounter,
    UsageEntry,
)

__all__ = [
    "FREE",
    "Actor",
    "ActorKind",
    "AllowedHost",
    "ApiKey",
    "Asset",
    "AssetCount",
    "AssetTag",
    "AuditEntry",
    "BillingAccount",
    "Collection",
    "Counter",
    "DailyCounter",
    "DailyEntry",
    "DiscardedObject",
    "EntryState",
    "Export",
    "ExportPreset",
    "ExportStatus",
    "IdempotentRequest",
    "Kept",
    "KeptBytes",
    "LedgerEntry",
    "MediaType",
    "Membership",
    "MeterEvent",
    "Mode",
    "Organization",
    "Plan",
    "Rendition",
    "Role",
    "StorageCounter",
    "StripeEvent",
    "Upload",
    "UsageCounter",
    "UsageEntry",
    "User",
    "UtcDateTime",
    "moment_of",
    "new_id",
]
