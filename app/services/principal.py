"""Who is asking, as a value that outlives every session."""

from dataclasses import dataclass, replace

from app.imaging import Transform
from app.models import Mode, Plan

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Allowance:
    """What a plan allows. None means without limit; sizes are in bytes."""

    plan: str
    monthly_images: int | None
    requests_per_second: int
    storage_bytes: int | None
    file_bytes: int
    batch_files: int
    workspace_api: bool

    @classmethod
    def of(cls, plan: Plan) -> "Allowance":
        return cls(
            plan=plan.code,
            monthly_images=plan.monthly_images,
            requests_per_second=plan.requests_per_second,
            storage_bytes=None if plan.storage_mb is None else plan.storage_mb * MEGABYTE,
            file_bytes=plan.file_mb * MEGABYTE,
            batch_files=plan.batch_files,
            workspace_api=plan.workspace_api,
        )


@dataclass(frozen=True)
class Principal:
    """An authenticated key: its organization, what it may do, and what the organization's plan allows."""

    org_id: str
    key_id: str
    mode: Mode
    scopes: frozenset[str]
    allowance: Allowance

    @property
    def is_live(self) -> bool:
        return self.mode is Mode.LIVE

    @property
    def partition(self) -> tuple[str, Mode]:
        """What a session that works for this principal is bound to."""
        return self.org_id, self.mode

    def marked(self, transform: Transform) -> Transform:
        """What is done for this principal: whatever a test key has processed is stamped, and so of no other use."""
        return transform if self.is_live else replace(transform, stamp=True)
