"""Which rows and columns a data export has. Columns are named one by one, so that no secret and no
digest of one can slip in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import InstrumentedAttribute

from app.models import (
    AllowedHost,
    ApiKey,
    Asset,
    AuditEntry,
    BillingAccount,
    Collection,
    DailyEntry,
    ErrorDay,
    Export,
    ExportPreset,
    Invitation,
    Membership,
    Organization,
    TrashedAsset,
    UsageDay,
    UsageEntry,
    User,
)
from app.services.library import trash


@dataclass(frozen=True)
class Sheet:
    """A JSON file with one line for each row of ``model``."""

    name: str
    model: type[Any]
    columns: Sequence[InstrumentedAttribute[Any]]

    def select(self, org_id: str) -> Select[Any]:
        """The rows of an organization by primary key. Those of owned tables are also restricted by
        the session."""
        key = Organization.id if self.model is Organization else self.model.org_id
        rows = select(*self.columns).where(key == org_id)
        if self.model is Membership:
            rows = rows.join(User, User.id == Membership.user_id)
        if self.model is TrashedAsset:
            rows = rows.where(trash.IS_THERE)
        return rows.order_by(*self.model.__mapper__.primary_key)


def _sheet(name: str, model: type[Any], columns: str, *others: InstrumentedAttribute[Any]) -> Sheet:
    return Sheet(name, model, [*(getattr(model, column) for column in columns.split()), *others])


ENTRY = "id kind period state images reference created_at actor_kind actor_id"
OF_THE_ORGANIZATION = (
    _sheet(
        "organization",
        Organization,
        "id name slug plan_code time_zone default_quality default_format image_cap created_at",
    ),
    _sheet("members", Membership, "user_id role created_at", User.email, User.name),
    _sheet(
        "keys",
        ApiKey,
        "id name prefix last4 mode scopes created_at created_by image_cap last_used_at "
        "last_used_address last_used_call expires_at revoked_at original_key_id",
    ),
    _sheet("invitations", Invitation, "id email role invited_by created_at expires_at"),
    _sheet("allowed-hosts", AllowedHost, "host"),
    _sheet("usage-days", UsageDay, "day mode kind actor_kind actor_id images"),
    _sheet("error-days", ErrorDay, "day mode code requests"),
    _sheet("ledger", UsageEntry, ENTRY),
    _sheet("test-ledger", DailyEntry, ENTRY),
    _sheet(
        "billing",
        BillingAccount,
        "customer_id subscription_id status plan_code interval period_end cancel_at",
    ),
    _sheet(
        "audit-log",
        AuditEntry,
        "id action before after actor_kind actor_id address event_id created_at",
    ),
)
ASSET = (
    "id media_type name original_name mime_type kind size width height frames duration_ms content "
    "tags collection_id location_x location_y uploaded_at origin made_from operations "
    "added_by_kind added_by_id"
)
OF_A_MODE = (
    _sheet("assets", Asset, ASSET),
    _sheet("trash", TrashedAsset, f"{ASSET} deleted_at deleted_by_kind deleted_by_id"),
    _sheet("collections", Collection, "id name parent_id color created_at updated_at"),
    _sheet(
        "presets",
        ExportPreset,
        "id name format quality max_width max_height preserve_aspect created_at updated_at",
    ),
    _sheet(
        "exports",
        Export,
        "id status config total processed failed size error actor_kind actor_id created_at "
        "finished_at expires_at",
    ),
)
