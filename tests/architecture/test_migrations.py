"""The migrations make exactly the tables that the models declare, on both databases."""

import pytest
from flask_migrate import check
from sqlalchemy import select

from app.extensions import transaction
from app.models import Plan
from tests.databases import on_both_databases

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]


def test_tables_and_migrations_agree() -> None:
    check()


def test_the_four_plans_are_those_of_the_price_list() -> None:
    with transaction() as session:
        plans = session.scalars(
            select(Plan).where(Plan.code.in_(["FREE", "TEAM", "BUSINESS", "ENTERPRISE"])).order_by(Plan.position)
        ).all()
    rows = [
        (
            plan.code, plan.price_cents, plan.monthly_images, plan.requests_per_second, plan.storage_mb, plan.file_mb,
            plan.batch_files, plan.workspace_api,
        )
        for plan in plans
    ]  # fmt: skip
    assert rows == [
        ("FREE", 0, 100, 2, 1024, 20, 20, False),
        ("TEAM", 2900, 20_000, 3, 100 * 1024, 50, 100, True),
        ("BUSINESS", 9900, 200_000, 10, 1024 * 1024, 100, 500, True),
        ("ENTERPRISE", None, None, 100, None, 200, 1000, True),
    ]
