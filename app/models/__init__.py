"""The tables. Importing this package declares them all."""

from app.models.actors import Actor, ActorKind
from app.models.billing import AuditEntry, BillingAccount, MeterEvent, StripeEvent
from app.models.directory import (
    FREE,
    ApiKey,
    FormerSlug,
    Membership,
    Mode,
    Organization,
    Plan,
    Role,
    User,
)
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
from app.models.mails import Mail
from app.models.people import LinkPurpose, MailedLink, Passkey, RecoveryCode, SignIn
from app.models.team import DataExport, DataExportStatus, Invitation, UsageNotice
from app.models.types import UtcDateTime, moment_of, new_id
from app.models.usage import (
    Counter,
    DailyCounter,
    DailyEntry,
    EntryState,
    ErrorDay,
    KeyCounter,
    LedgerEntry,
    UsageCounter,
    UsageDay,
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
    "DataExport",
    "DataExportStatus",
    "DiscardedObject",
    "EntryState",
    "ErrorDay",
    "Export",
    "ExportPreset",
    "ExportStatus",
    "FormerSlug",
    "IdempotentRequest",
    "Invitation",
    "Kept",
    "KeptBytes",
    "KeyCounter",
    "LedgerEntry",
    "LinkPurpose",
    "Mail",
    "MailedLink",
    "MediaType",
    "Membership",
    "MeterEvent",
    "Mode",
    "Organization",
    "Passkey",
    "Plan",
    "RecoveryCode",
    "Rendition",
    "Role",
    "SignIn",
    "StorageCounter",
    "StripeEvent",
    "Upload",
    "UsageCounter",
    "UsageDay",
    "UsageEntry",
    "UsageNotice",
    "User",
    "UtcDateTime",
    "moment_of",
    "new_id",
]
