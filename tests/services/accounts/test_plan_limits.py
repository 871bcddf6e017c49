"""Limits that were raised: as values and as statements, the higher of both holds."""

from datetime import timedelta

from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from app.extensions import transaction
from app.models import Organization, Plan
from app.services.accounts.plan_limits import RAISABLE, limits_of, monthly_images_at
from tests.clock import NOON
from tests.conftest import AccountMaker
from tests.databases import on_both_databases


@on_both_databases
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["FREE", "ENTERPRISE"]),
    st.none() | st.dictionaries(st.sampled_from(RAISABLE), st.integers(1, 500_000)),
    st.sampled_from([None, -1, 0, 1]),
)
def test_the_higher_of_both_holds_until_the_end(
    app: Flask,
    make_account: AccountMaker,
    plan: str,
    raised: dict[str, int] | None,
    hours: int | None,
) -> None:
    until = None if hours is None else NOON + timedelta(hours=hours)
    account = make_account(plan=plan)
    with app.app_context(), transaction() as session:
        session.change(
            update(Organization)
            .where(Organization.id == account.org_id)
            .values(raised_limits=raised, raised_until=until)
        )
        organization, own, images = session.execute(
            select(Organization, Plan, monthly_images_at(NOON))
            .join(Plan, Plan.code == Organization.plan_code_at(NOON))
            .where(Organization.id == account.org_id)
        ).one()
        found = limits_of(own, organization, NOON)
        holds = raised if raised and (until is None or until > NOON) else {}
        for name in RAISABLE:
            of_plan = getattr(own, name)
            higher = None if of_plan is None else max(of_plan, holds.get(name, 0))
            assert getattr(found, name) == higher, name
        assert images == found.monthly_images
