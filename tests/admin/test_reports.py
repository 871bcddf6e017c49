"""Reports as staff read them."""

import csv
from io import StringIO

import pytest
from flask import Flask

from app.extensions import transaction
from app.models import Organization, StaffRole, UsageCounter
from tests.admin.conftest import StaffMaker
from tests.client import ApiClient
from tests.clock import NOON
from tests.conftest import Account

HOME = "/admin/reports"
HOSTILE = "@<script>alert(1)</script>"


def test_reports_are_for_those_who_may_see_money(make_staff: StaffMaker) -> None:
    billing, support = make_staff(StaffRole.BILLING), make_staff(StaffRole.SUPPORT)
    page = billing.get(HOME)
    assert page.status_code == 200
    for text in ("Nov 2026", "Dec 2025", "What the figures mean"):
        assert text in page.text
    for path in ("", "/months.csv", "/images.csv", "/revenue.csv"):
        assert support.get(HOME + path).status_code == 403
    assert HOME not in support.get("/admin").text


@pytest.mark.parametrize("month", ["", "?month=2026-11", "?month=1999-01", "?month=%00x"])
def test_names_of_customers_stay_text(
    app: Flask, staff: ApiClient, acme: Account, month: str
) -> None:
    with app.app_context(), transaction(acme.org_id) as session:
        session.get_one(Organization, acme.org_id).name = HOSTILE
        period = NOON.date().replace(day=1)
        session.add(UsageCounter(period=period, used=10**9, reserved=0))
    page = staff.get(HOME + month)
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert f"/admin/organizations/{acme.org_id}" in page.text
    file = staff.get(f"{HOME}/images.csv{month}")
    rows = {row["Id"]: row for row in csv.DictReader(StringIO(file.text.removeprefix("\ufeff")))}
    assert rows[acme.org_id]["Name"] == f"'{HOSTILE}"
    assert staff.get(f"{HOME}/months.csv").text.count("\n") == 13
