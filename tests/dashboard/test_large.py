"""Pages of an organization with 10,000 daily figures, 500 members and as many others beside it:
few statements, by indexes, and none of them reads the ledger or the assets."""

import re

import pytest
from flask import Flask
from sqlalchemy import Connection

from app.extensions import db
from app.models import Role
from tests.client import ApiClient
from tests.conftest import Account, AccountMaker, SignIn
from tests.databases import on_both_databases, plan_of, statements

pytestmark = [pytest.mark.slow, on_both_databases]
PAGES = ("", "?days=90", "/usage", "/usage?by=key&days=90", "/usage.csv?by=key&days=90")
MOST_STATEMENTS = 18
GROWING = ("usage_entries", "daily_entries", "assets", "asset_tags", "audit_entries", "renditions")
"""Tables without bounds that pages about usage must not read."""
WHOLE_TABLES = re.compile(
    "(SCAN|Seq Scan on) (usage_days|error_days|usage_counters|api_keys|memberships|users)"
)
"""In the plan of a statement: that a table is read from end to end."""
NUMBERS = (
    "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {}) "
)
MONTHS_BEFORE = {
    "sqlite": "date('2026-10-01', '-' || n || ' months')",
    "postgresql": "date '2026-10-01' - n * interval '1 month'",
}
DAYS_BEFORE = {
    "sqlite": "date('2026-11-20', '-' || (n / 20) || ' days')",
    "postgresql": "date '2026-11-20' - n / 20",
}


def fill(connection: Connection, org_id: str) -> None:
    """Twenty rows a day for 500 days, by 20 people; 100 months; 500 members; 20 kinds of errors a
    day."""
    day, month = (by[connection.dialect.name] for by in (DAYS_BEFORE, MONTHS_BEFORE))
    person = f"'{org_id[-20:]}-' || n"
    maker = f"'{org_id[-20:]}-' || (n - n / 20 * 20)"
    for columns, rows, values in (
        (
            "usage_days (org_id, day, mode, kind, actor_kind, actor_id, images)",
            9999,
            f"{day}, 'live', 'compress', 'user', {maker}, n / 20 + 1",
        ),
        ("error_days (org_id, day, mode, code, requests)", 9999, f"{day}, 'live', {maker}, 1"),
        ("usage_counters (org_id, period, used, reserved)", 99, f"{month}, 1, 0"),
        (
            "memberships (org_id, user_id, role, steps_hidden, created_at)",
            499,
            f"{person}, 'member', false, '2026-01-01 00:00:00'",
        ),
    ):
        if columns.startswith("memberships"):
            connection.exec_driver_sql(
                "INSERT INTO users (id, email, totp_last_step, created_at) "
                f"{NUMBERS.format(rows)} SELECT {person}, {person} || '@example.com', 0, "
                "'2026-01-01 00:00:00' FROM numbers"
            )
        connection.exec_driver_sql(
            f"INSERT INTO {columns} {NUMBERS.format(rows)} SELECT '{org_id}', {values} FROM numbers"
        )


@pytest.fixture
def large(app: Flask, make_account: AccountMaker) -> Account:
    accounts = [make_account() for _ in range(6)]
    with app.app_context(), db.engine.begin() as connection:
        for account in accounts:
            fill(connection, account.org_id)
        connection.exec_driver_sql("ANALYZE")
    return accounts[0]


def test_pages_take_few_statements_by_indexes(app: Flask, large: Account, sign_in: SignIn) -> None:
    owner = sign_in(large, Role.OWNER)
    for page in PAGES:
        assert look(owner, large, page) == 200
        with statements(app) as sent:
            assert look(owner, large, page) == 200
        assert len(sent) <= MOST_STATEMENTS, "\n".join(one for one, _ in sent)
        for statement in sent:
            assert not [table for table in GROWING if f" {table} " in f"{statement[0]} "], statement
            plan = plan_of(app, statement) if statement[0].startswith("SELECT") else ""
            assert not WHOLE_TABLES.search(plan), f"{statement[0]}\n{plan}"


def look(client: ApiClient, account: Account, page: str) -> int:
    return client.get(account.home + page).status_code
