"""The principal of a request, as a value that is independent of database sessions."""

from dataclasses import dataclass, replace
from datetime import datetime

from app.errors import RoleTooLow
from app.imaging import Transform
from app.models import Actor, Mode, Organization, Plan, Role
from app.services.accounts import permissions
from app.services.accounts.permissions import LOWEST_ROLES, Action
from app.services.accounts.plan_limits import limits_of

MEGABYTE = 1024 * 1024
BY_PORTAL = "POST /billing/portal opens the page for it."


@dataclass(frozen=True)
class Allowance:
    """What a plan allows, with limits that were raised for the organization. None means no limit;
    sizes are in bytes.

    ``test_images`` is how many images the organization's test keys may make in a day. ``metered``
    is whether images are paid one by one. ``lapses_at`` is when the plan ends because of an overdue
    payment, or ended if ``has_lapsed``; None if no payment is overdue or the plan was granted.
    """

    plan: str
    monthly_images: int | None
    requests_per_second: int
    storage_bytes: int | None
    file_bytes: int
    batch_files: int
    workspace_api: bool
    test_images: int
    metered: bool = False
    lapses_at: datetime | None = None
    has_lapsed: bool = False

    @classmethod
    def of(
        cls, plan: Plan, organization: Organization, now: datetime, test_images: int
    ) -> "Allowance":
        lapses_at = organization.plan_lapses_at
        has_lapsed = lapses_at is not None and lapses_at <= now
        is_granted = plan.code == organization.granted_at(now)
        limits = limits_of(plan, organization, now)
        return cls(
            plan=plan.code,
            monthly_images=limits.monthly_images,
            requests_per_second=limits.requests_per_second,
            storage_bytes=None if limits.storage_mb is None else limits.storage_mb * MEGABYTE,
            file_bytes=limits.file_mb * MEGABYTE,
            batch_files=limits.batch_files,
            workspace_api=plan.workspace_api,
            test_images=test_images,
            metered=organization.metered,
            lapses_at=None if is_granted and not has_lapsed else lapses_at,
            has_lapsed=has_lapsed,
        )

    @property
    def arrears(self) -> str:
        """The sentences, after a space, that a refusal adds while a payment is overdue; empty
        otherwise."""
        if self.lapses_at is None:
            return ""
        if self.has_lapsed:
            return (
                f" The last payment failed, so the plan is {self.plan} until it is paid. "
                f"{BY_PORTAL}"
            )
        end = f"{self.lapses_at:%Y-%m-%d}"
        return (
            f" The last payment failed: the {self.plan} plan ends on {end} unless it is paid. "
            f"{BY_PORTAL}"
        )


@dataclass(frozen=True)
class Principal:
    """An actor in an organization, with its permissions and the limits of the organization's plan.

    ``rate_limit_id`` is the id that rate limits count by; a key shares it with all keys that it has
    replaced by rotation. ``role`` is a user's role in the organization, ``slug`` names it in the
    paths of its pages; keys have neither. ``suspended`` is the reason while the organization is
    suspended: its people can look, and change nothing. ``viewing`` is whether a member of staff
    looks at the pages, who can change nothing.
    """

    org_id: str
    actor: Actor
    mode: Mode
    scopes: frozenset[str]
    allowance: Allowance
    rate_limit_id: str
    role: Role | None = None
    slug: str | None = None
    suspended: str | None = None
    viewing: bool = False

    def may(self, action: Action) -> bool:
        """Whether a person with this role may do it. Keys have scopes instead, so they may not."""
        return self.role is not None and permissions.may(self.role, action)

    def require(self, action: Action) -> None:
        """Raises RoleTooLow for a person whose role is too low."""
        if not self.may(action):
            role = self.role or "a key"
            raise RoleTooLow(
                f"You are {role} here. To {action} takes the role {LOWEST_ROLES[action]} or a "
                "higher one."
            )

    @property
    def is_live(self) -> bool:
        return self.mode is Mode.LIVE

    @property
    def has_workspace(self) -> bool:
        """Whether the plan includes the workspace API, which test data needs no plan for."""
        return self.allowance.workspace_api or not self.is_live

    @property
    def partition(self) -> tuple[str, Mode]:
        """The organization and mode that a session for this principal is bound to."""
        return self.org_id, self.mode

    def watermarked_for_test(self, transform: Transform) -> Transform:
        """The transform for this principal. Results of a test key get a watermark, so that they are
        useful for tests only."""
        return transform if self.is_live else replace(transform, watermarked_for_test=True)
