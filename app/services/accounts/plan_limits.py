"""The limits of a plan as they hold for one organization: staff can raise some of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, case, or_

from app.models import Organization, Plan


class PlanLimits(NamedTuple):
    """Named as the plan's columns. None is without limit."""

    monthly_images: int | None
    requests_per_second: int
    storage_mb: int | None
    file_mb: int
    batch_files: int


RAISABLE = ("monthly_images", "requests_per_second", "storage_mb", "file_mb", "batch_files")
"""The fields of ``PlanLimits``."""


def limits_of(plan: Plan, organization: Organization, now: datetime) -> PlanLimits:
    """The higher of the plan's limits and the raised ones, for an organization on this plan."""
    raised = raised_limits(organization, now)
    return PlanLimits(
        monthly_images=_higher(plan.monthly_images, raised.get("monthly_images")),
        requests_per_second=max(plan.requests_per_second, raised.get("requests_per_second", 0)),
        storage_mb=_higher(plan.storage_mb, raised.get("storage_mb")),
        file_mb=max(plan.file_mb, raised.get("file_mb", 0)),
        batch_files=max(plan.batch_files, raised.get("batch_files", 0)),
    )


def raised_limits(organization: Organization, now: datetime) -> Mapping[str, int]:
    """The raised limits that hold at ``now``, by name."""
    until = organization.raised_until
    has_ended = until is not None and until <= now
    return {} if has_ended else organization.raised_limits or {}


def monthly_images_at(now: datetime) -> ColumnElement[int | None]:
    """``limits_of(…).monthly_images`` as a part of statements over organizations and their plans at
    ``now``."""
    raised = Organization.raised_limits["monthly_images"].as_integer()
    holds = or_(Organization.raised_until.is_(None), Organization.raised_until > now)
    return case((and_(raised > Plan.monthly_images, holds), raised), else_=Plan.monthly_images)


def _higher(of_plan: int | None, raised: int | None) -> int | None:
    return of_plan if of_plan is None or raised is None else max(of_plan, raised)
