"""``/dashboard/<slug>``: the organization at a glance."""

from flask import Blueprint, Response, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse

from app.dashboard.frame import page_of
from app.extensions import transaction
from app.services.accounts import getting_started
from app.services.accounts.permissions import Action
from app.services.library import storage_quota
from app.services.usage import caps, limits, notices, refusals
from app.services.usage import days as usage_days
from app.services.usage.periods import period_of
from app.web import charts
from app.web.context import container, now, principal
from app.web.requirements import Member, requires
from app.web.sessions import person

blueprint = Blueprint("overview", __name__)
MOST_CONSUMERS = 10
FIRST_CALL = 'curl -H "Authorization: Bearer $KEY" -F "files[]=@photo.jpg" {site}/compress/batch'


@blueprint.get("/dashboard/<slug>")
@requires(Member())
def show(**_path: str) -> Response:
    who, moment = principal(), now()
    days = charts.chosen_days()
    first, today = charts.window(days)
    a_month_ago = charts.window(30)[0]
    period = period_of(moment)
    with transaction(*who.partition) as session:
        month = limits.summarise(session, who, moment)
        found_caps = caps.of_everybody(session, who.org_id, period, moment)
        chart = usage_days.by_surface(session, who.mode, first, today)
        values = {
            "marks": notices.marks(month, found_caps),
            "tests_left": limits.left_today(session, who, moment),
            "stored": storage_quota.used(session),
            "refusals": refusals.totals(session, who.mode, a_month_ago, today),
            "consumers": usage_days.consumers(session, who.mode, period, today, MOST_CONSUMERS),
            "reminders": getting_started.key_reminders(session, who.org_id, moment),
            "steps": getting_started.steps(session, who, person()),
        }
    return page_of(
        "dashboard/overview.html",
        month=month,
        chart=chart,
        bars=charts.bars(chart),
        days=days,
        period_items=charts.period_items(days),
        query=charts.query,
        principal=who,
        may_manage_keys=who.may(Action.MANAGE_KEYS),
        may_upgrade=who.may(Action.MANAGE_BILLING),
        curl=FIRST_CALL.format(site=container().settings.site),
        **values,
    )


@blueprint.post("/dashboard/<slug>/steps/dismiss")
@requires(Member())
def dismiss_steps(slug: str) -> BaseResponse:
    with transaction(*principal().partition) as session:
        getting_started.dismiss(session, principal())
    return redirect(url_for("dashboard.overview.show", slug=slug), 303)
