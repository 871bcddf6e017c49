"""The plan in force at any moment, whatever was granted, paid and overdue before, and whether or
not the sweep came by: against a model of a few lines."""

from datetime import datetime, timedelta
from typing import NamedTuple

from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from app.extensions import transaction
from app.models import AuditEntry, BillingAccount, Mail, Organization
from app.services.billing import plans
from tests.actors import STAFF
from tests.billing import SITE
from tests.clock import NOON, Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases

RANKS = ["FREE", "TEAM", "BUSINESS", "ENTERPRISE"]
HOURS = st.none() | st.integers(1, 6)
STEPS = st.one_of(
    st.tuples(st.just("grant"), st.sampled_from(RANKS), HOURS),
    st.tuples(st.just("pay"), st.none() | st.sampled_from(RANKS[1:]), HOURS),
    st.tuples(st.just("wait"), st.integers(1, 4), st.none()),
    st.tuples(st.just("sweep"), st.none(), st.none()),
)


class Model(NamedTuple):
    granted: str | None = None
    granted_until: datetime | None = None
    paid: str | None = None
    lapses_at: datetime | None = None

    def plan(self, now: datetime) -> str:
        holds = {"FREE"}
        if self.granted and (self.granted_until is None or now < self.granted_until):
            holds.add(self.granted)
        if self.paid and (self.lapses_at is None or now < self.lapses_at):
            holds.add(self.paid)
        return max(holds, key=RANKS.index)


def after(now: datetime, hours: int | None) -> datetime | None:
    return None if hours is None else now + timedelta(hours=hours)


def in_force(org_id: str, now: datetime) -> tuple[str, str]:
    """As statements see it, and as it is written."""
    with transaction() as session:
        row = session.execute(
            select(Organization.plan_code_at(now), Organization.plan_code).where(
                Organization.id == org_id
            )
        ).one()
    return row[0], row[1]


@on_both_databases
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, max_size=8))
def test_the_plan_in_force_follows_the_model(
    app: Flask,
    make_account: AccountMaker,
    steps: list[tuple[str, object, int | None]],
) -> None:
    account, model, now = make_account(plan="FREE"), Model(), NOON
    with app.app_context():
        for what, value, hours in steps:
            if what == "grant":
                until = after(now, hours)
                with transaction(account.org_id) as session:
                    plans.grant(session, str(value), STAFF, now, until)
                granted = None if value == "FREE" else str(value)
                model = model._replace(granted=granted, granted_until=until if granted else None)
            elif what == "pay":
                lapses_at = after(now, hours) if value else None
                with transaction(account.org_id) as session:
                    organization = session.get_one(Organization, account.org_id)
                    organization.plan_lapses_at = lapses_at
                    paid = None if value is None else str(value)
                    account_row = session.scalars(select(BillingAccount)).first()
                    account_row = account_row or BillingAccount(customers=0, revision=0)
                    account_row.plan_code = paid
                    session.add(account_row)
                    plans.update_plan(session, organization, paid, now)
                model = model._replace(paid=paid, lapses_at=lapses_at)
            elif what == "wait":
                now += timedelta(hours=int(str(value)))
            else:
                plans.lapse_due(SITE, now)
                assert in_force(account.org_id, now)[1] == model.plan(now)
            assert in_force(account.org_id, now)[0] == model.plan(now)
        for later in range(8):
            moment = now + timedelta(hours=later)
            assert in_force(account.org_id, moment)[0] == model.plan(moment)


def told(account: Account) -> tuple[list[str], list[str]]:
    """What the log says that the system did, and the subjects of mails to the owner."""
    name = account.email.partition("@")[0]
    with transaction(account.org_id) as session:
        actions = select(AuditEntry.action).where(AuditEntry.actor_kind == "system")
        mails = select(Mail.subject).where(Mail.recipient == account.email).order_by(Mail.id)
        return (
            [one for one in session.scalars(actions) if one != "plan.granted"],
            [one.replace(name, "_") for one in session.scalars(mails) if "has ended" in one],
        )


@on_both_databases
def test_the_end_of_a_grant_is_written_down_and_told_once(
    app: Flask, make_account: AccountMaker, clock: Clock
) -> None:
    account, end = make_account(plan="FREE"), clock() + timedelta(days=1)
    with app.app_context():
        with transaction(account.org_id) as session:
            plans.grant(session, "TEAM", STAFF, clock(), end)
        clock.set(end - timedelta(seconds=1))
        plans.lapse_due(SITE, clock())
        assert told(account) == ([], [])
        clock.set(end)
        for _ in range(2):
            plans.lapse_due(SITE, clock())
            ended = ["The Team plan that _ was given has ended"]
            assert told(account) == (["plan.grant_ended"], ended)
        with transaction() as session:
            row = session.get_one(Organization, account.org_id)
        state = (row.plan_code, row.granted_plan_code, row.granted_until)
        assert state == ("FREE", None, None)


def test_a_grant_below_the_paid_plan_ends_without_a_mail(
    app: Flask, make_account: AccountMaker, clock: Clock
) -> None:
    account = make_account(plan="FREE")
    with app.app_context():
        with transaction(account.org_id) as session:
            plans.update_plan(
                session, session.get_one(Organization, account.org_id), "BUSINESS", clock()
            )
            this = update(Organization).where(Organization.id == account.org_id)
            until = clock() + timedelta(hours=1)
            session.change(this.values(granted_plan_code="TEAM", granted_until=until))
        clock.advance(hours=2)
        assert plans.lapse_due(SITE, clock()) >= 1
        assert told(account) == (["plan.grant_ended"], [])
        assert in_force(account.org_id, clock()) == ("BUSINESS", "BUSINESS")
