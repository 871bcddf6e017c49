"""What is left of a month, or of a day for test keys, and the refusal of work that needs more."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import select

from app.errors import (
    AppError,
    BatchCapReached,
    CapReached,
    MonthlyLimitReached,
    QuotaExceeded,
    RateLimited,
)
from app.models import DailyCounter, UsageCounter
from app.services.accounts.principal import Principal
from app.services.usage import caps
from app.services.usage.caps import Cap
from app.services.usage.periods import day_of, next_period, period_of
from app.tenancy import TenantSession

Refusal = type[MonthlyLimitReached] | type[QuotaExceeded]
CAP_REFUSALS: dict[type[AppError], type[CapReached]] = {
    QuotaExceeded: CapReached,
    MonthlyLimitReached: BatchCapReached,
}
"""What each refusal of the plan's limit is for a spend cap."""


@dataclass(frozen=True)
class Summary:
    """An organization's usage in a month. ``limit`` and ``remaining`` are None without a limit."""

    plan: str
    used: int
    limit: int | None
    remaining: int | None
    reset_date: date


def summarise(session: TenantSession, principal: Principal, now: datetime) -> Summary:
    """The current month of the principal's organization, for live images only.

    Reserved images are not in ``used``, but are subtracted from ``remaining``.
    """
    period = period_of(now)
    counter = session.execute(
        select(UsageCounter.used, UsageCounter.reserved).where(UsageCounter.period == period)
    ).one_or_none()
    used, reserved = counter or (0, 0)
    limit = principal.allowance.monthly_images
    return Summary(
        plan=principal.allowance.plan,
        used=used,
        limit=limit,
        remaining=None if limit is None else max(0, limit - used - reserved),
        reset_date=next_period(period),
    )


def check(session: TenantSession, principal: Principal, images: int, now: datetime) -> None:
    """Refuse work that exceeds the limit or a spend cap before it begins, without reserving
    anything.

    Raises QuotaExceeded, CapReached, or RateLimited for a test key.
    """
    if not principal.is_live:
        fits = images <= left_today(session, principal, now)
    else:
        left = summarise(session, principal, now).remaining
        fits = (left is None or images <= left) and all(
            images <= cap.left for cap in caps.of_principal(session, principal, period_of(now))
        )
    if not fits:
        raise refusal(session, principal, images, now, QuotaExceeded)


def refusal(
    session: TenantSession, principal: Principal, images: int, now: datetime, otherwise: Refusal
) -> AppError:
    """The error for a principal with fewer than ``images`` left: CapReached if a cap is the
    narrowest, else ``otherwise``; RateLimited for a test key."""
    if not principal.is_live:
        return _day_refusal(session, principal, images, now)
    summary = summarise(session, principal, now)
    narrowest = min(
        caps.of_principal(session, principal, period_of(now)),
        key=lambda cap: cap.left,
        default=None,
    )
    if narrowest and (summary.remaining is None or narrowest.left < summary.remaining):
        return CAP_REFUSALS[otherwise](_cap_sentence(narrowest, images, summary.reset_date))
    return otherwise(
        f"This request needs {images} images, and {summary.remaining} of {summary.limit} are "
        f"left on the {summary.plan} plan until {summary.reset_date}. Upgrade the plan or wait "
        f"for the reset date.{principal.allowance.arrears}"
    )


def _cap_sentence(cap: Cap, images: int, reset_date: date) -> str:
    whose = "the organization" if cap.of == "organization" else f"the API key '{cap.name}'"
    return (
        f"This request needs {images} images, and {cap.left} of {cap.limit} are left under the "
        f"monthly spend cap of {whose} until {reset_date}. An owner of the organization can raise "
        "the cap on the usage page of the dashboard."
    )


def _day_refusal(
    session: TenantSession, principal: Principal, images: int, now: datetime
) -> RateLimited:
    midnight = datetime.combine(day_of(now) + timedelta(days=1), time(), UTC)
    left = f"{left_today(session, principal, now)} of {principal.allowance.test_images}"
    return RateLimited(
        f"This request needs {images} images, and {left} are left for this organization's test "
        f"keys until {midnight:%Y-%m-%dT%H:%M:%SZ}. Send fewer, wait until then, or use a live "
        "key.",
        headers={"Retry-After": str(math.ceil((midnight - now).total_seconds()))},
    )


def left_today(session: TenantSession, principal: Principal, now: datetime) -> int:
    """How many images the organization's test keys may still make today. Reserved images count as
    used."""
    today = select(DailyCounter.used + DailyCounter.reserved).where(
        DailyCounter.period == day_of(now)
    )
    return max(0, principal.allowance.test_images - (session.scalar(today) or 0))


def left(session: TenantSession, principal: Principal, now: datetime) -> int | None:
    """How many images the principal may still make, this month or, in test mode, today. None
    without a limit."""
    if principal.is_live:
        return summarise(session, principal, now).remaining
    return left_today(session, principal, now)
