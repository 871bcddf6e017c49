"""Where an organization stands with its plan, as its pages show it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select

from app.models import BillingAccount, Organization, Plan
from app.tenancy import TenantSession


@dataclass(frozen=True)
class Standing:
    """An organization, and its billing account if it has begun to buy."""

    organization: Organization
    account: BillingAccount | None

    def pays_for(self, plan: str, interval: str) -> bool:
        """Whether the plan is paid for by this interval. A payment may be overdue."""
        paid = self.account
        return paid is not None and (paid.plan_code, paid.interval) == (plan, interval)


def read(session: TenantSession) -> Standing:
    """The standing of the session's organization."""
    row = session.execute(
        select(Organization, BillingAccount)
        .outerjoin(BillingAccount, BillingAccount.org_id == Organization.id)
        .where(Organization.id == session.org_id)
    ).one()
    return Standing(row.Organization, row.BillingAccount)


def plans_beside(session: TenantSession, present: str) -> Sequence[Plan]:
    """The plans that everybody can see and the organization's present one, the lowest first."""
    shown = select(Plan).where(or_(Plan.listed, Plan.code == present))
    return session.scalars(shown.order_by(Plan.position, Plan.code)).all()
