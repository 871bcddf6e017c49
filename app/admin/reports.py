"""``/admin/reports``: how the business goes, month by month, as pages and as CSV files."""

from datetime import date

from flask import Blueprint, Response, request

from app.admin.frame import admin_page
from app.extensions import transaction
from app.services.staff import reports
from app.services.staff.duties import Duty
from app.services.staff.reports import Customer
from app.tenancy import unscoped
from app.web.context import container, now
from app.web.csv_answer import csv_answer
from app.web.requirements import Staff, requires

blueprint = Blueprint("reports", __name__, url_prefix="/reports")
WHY = "reports"
MONTHS = (
    "Month", "Revenue in cents", "Paying", "Began to pay", "Ceased to pay", "Active", "Images",
    "New organizations", "Of these paying now",
)  # fmt: skip
CUSTOMERS = ("Id", "Name", "Plan", "Paid plan", "Images", "Cents a month")
MOST_ROWS = 1000


@blueprint.get("")
@requires(Staff(Duty.SEE_MONEY))
def show() -> Response:
    period = _period()
    with transaction() as session, unscoped(session, WHY):
        months = reports.months(session, container().redis, now())
        by_images = reports.top_by_images(session, period)
        by_revenue = reports.top_by_revenue(session, period)
    return admin_page(
        "admin/reports.html",
        months=months,
        period=period,
        by_images=by_images,
        by_revenue=by_revenue,
        revenue_bars=[(_short(one.period), one.revenue // 100) for one in reversed(months)],
        image_bars=[(_short(one.period), one.counts.images) for one in reversed(months)],
    )


@blueprint.get("/months.csv")
@requires(Staff(Duty.SEE_MONEY))
def download_months() -> Response:
    with transaction() as session, unscoped(session, WHY):
        months = reports.months(session, container().redis, now())
    rows = [
        (
            f"{one.period:%Y-%m}", one.revenue, one.paying, one.started, one.ended,
            one.counts.active, one.counts.images, one.counts.new, one.counts.converted,
        )
        for one in months
    ]  # fmt: skip
    return csv_answer("months.csv", MONTHS, rows)


@blueprint.get("/images.csv")
@requires(Staff(Duty.SEE_MONEY))
def download_images() -> Response:
    with transaction() as session, unscoped(session, WHY):
        rows = reports.top_by_images(session, _period(), MOST_ROWS)
    return csv_answer(f"images-{_period():%Y-%m}.csv", CUSTOMERS, map(_cells, rows))


@blueprint.get("/revenue.csv")
@requires(Staff(Duty.SEE_MONEY))
def download_revenue() -> Response:
    with transaction() as session, unscoped(session, WHY):
        rows = reports.top_by_revenue(session, _period(), MOST_ROWS)
    return csv_answer("revenue.csv", CUSTOMERS, map(_cells, rows))


def _period() -> date:
    """The month of the query, such as 2026-11; this one unless it is one of those reported."""
    asked, periods = request.args.get("month", ""), reports.periods(now())
    return next((one for one in periods if f"{one:%Y-%m}" == asked), periods[0])


def _short(period: date) -> str:
    return f"{period:%b %Y}"


def _cells(one: Customer) -> tuple[object, ...]:
    return tuple(one._replace(paid=one.paid or ""))
