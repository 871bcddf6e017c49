"""Mails to the owners when 80 and 100 % of a plan's images or of a spend cap are used: each once a
month.

The minute's sweep finds them in the counters of the running month. A row remembers each, so that a
sweep that is repeated, or runs on two machines, sends none twice; the mail is written in the row's
transaction. Where use passes both marks between two sweeps, only the mail for 100 % is sent.
"""

from collections.abc import Sequence
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Select, case, cast, literal, select, union_all

from app.extensions import transaction
from app.models import (
    ApiKey,
    KeyCounter,
    Organization,
    Plan,
    UsageCounter,
    UsageNotice,
)
from app.services import mail
from app.services.accounts import members
from app.services.accounts.plan_limits import monthly_images_at
from app.services.usage.caps import Cap
from app.services.usage.limits import Summary
from app.services.usage.periods import next_period, period_of
from app.tenancy import TenantSession, insert_if_absent, unscoped

LETTER = "usage-notice"


class Due(NamedTuple):
    """A mark that was reached. ``name`` is that of the ``UsageNotice``; ``key_name`` is that of a
    key with a cap."""

    org_id: str
    name: str
    key_name: str | None
    used: int
    limit: int

    @property
    def subject(self) -> str:
        """``plan``, ``cap`` or ``key``."""
        return self.name.partition(" ")[0]

    @property
    def percent(self) -> int:
        return int(self.name.rpartition(" ")[2])


class Mark(NamedTuple):
    """What a banner tells: how much is used of the plan, of the organization's cap or a key's."""

    subject: Literal["plan", "cap", "key"]
    name: str
    used: int
    limit: int

    @property
    def is_full(self) -> bool:
        return self.used >= self.limit


def marks(summary: Summary, found: Sequence[Cap]) -> list[Mark]:
    """What is used to 80 % or more; images that are set aside for running work count for caps."""
    every = [
        Mark("cap" if cap.of == "organization" else "key", cap.name, cap.taken, cap.limit)
        for cap in found
    ]
    if summary.limit is not None:
        every.insert(0, Mark("plan", summary.plan, summary.used, summary.limit))
    return [one for one in every if one.used * 5 >= one.limit * 4]


def send_due(site: str, now: datetime) -> int:
    """Queue the mails of all organizations. Returns how many marks were told. ``site`` is what
    links begin with."""
    with transaction() as session, unscoped(session, "usage notices"):
        found = due(session, now)
    told = 0
    for org_id, marks in groupby(found, attrgetter("org_id")):
        with transaction(org_id) as session:
            told += tell(session, list(marks), site, now)
    return told


def due(session: TenantSession, now: datetime) -> list[Due]:
    """The marks that were reached in the running month and not yet told, by organization;
    ``session`` must be unscoped. One statement over the month's counters."""
    period = period_of(now)
    of_plan = _reached(UsageCounter, monthly_images_at(now), literal("plan"), literal(None), period)
    of_cap = _reached(UsageCounter, Organization.image_cap, literal("cap"), literal(None), period)
    of_key = _reached(
        KeyCounter, ApiKey.image_cap, literal("key ") + KeyCounter.key_id, ApiKey.name, period
    ).join(ApiKey, ApiKey.id == KeyCounter.key_id)
    rows = session.execute(
        union_all(
            of_plan.join(Plan, Plan.code == Organization.plan_code_at(now)), of_cap, of_key
        ).order_by("org_id", "name")
    )
    return [Due(*row) for row in rows]


def _reached(
    counter: type[UsageCounter] | type[KeyCounter],
    limit: Any,
    subject: ColumnElement[str],
    key_name: Any,
    period: date,
) -> Select[Any]:
    percent = case((counter.used >= limit, "100"), else_="80")
    name = subject + literal(" ") + percent
    told = select(UsageNotice.name).where(
        UsageNotice.org_id == counter.org_id,
        UsageNotice.period == period,
        UsageNotice.name == name,
    )
    return (
        select(
            counter.org_id.label("org_id"),
            name.label("name"),
            key_name.label("key_name"),
            counter.used.label("used"),
            limit.label("limit"),
        )
        .join(Organization, Organization.id == counter.org_id)
        .where(
            counter.period == period,
            # The products of large numbers of images don't fit into the columns' 32 bits.
            cast(counter.used, BigInteger) * 5 >= cast(limit, BigInteger) * 4,
            Organization.deleted_at.is_(None),
            ~told.exists(),
        )
    )


def tell(session: TenantSession, marks: Sequence[Due], site: str, now: datetime) -> int:
    period = period_of(now)
    new = [
        one for one in marks if insert_if_absent(session, UsageNotice, period=period, name=one.name)
    ]
    if not new:
        return 0
    organization = session.get_one(Organization, new[0].org_id)
    for owner in members.owners_of(session):
        for one in new:
            mail.queue(
                session,
                owner.email,
                LETTER,
                now,
                notice=one,
                organization=organization.name,
                resets=next_period(period),
                link=f"{site}/dashboard/{organization.slug}/usage",
            )
    return len(new)
