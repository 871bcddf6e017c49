"""``/dashboard/<slug>/usage``: daily figures at length, and the spend caps."""

from typing import NamedTuple

from flask import Blueprint, Response, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app.dashboard.frame import page_of
from app.errors import BadRequest, NotFound
from app.extensions import transaction
from app.services.accounts.permissions import Action
from app.services.usage import caps, limits
from app.services.usage import days as usage_days
from app.services.usage.days import Chart, Consumer
from app.services.usage.periods import period_of
from app.tenancy import TenantSession
from app.web import charts
from app.web.context import now, principal
from app.web.csv_answer import csv_answer
from app.web.requirements import Member, requires

blueprint = Blueprint("usage", __name__)
SURFACE, CONSUMER = "surface", "key"
MOST_CONSUMERS = 100
CAP_CHARACTERS = 20


class Figures(NamedTuple):
    """What the query asks for."""

    days: int
    by: str
    chart: Chart
    consumers: list[Consumer]
    corrected: int


class Problem(NamedTuple):
    """A form that was refused: which, what was typed, and why."""

    form: str
    typed: str
    message: str


@blueprint.get("/dashboard/<slug>/usage")
@requires(Member())
def show(**_path: str) -> Response:
    return _page()


@blueprint.get("/dashboard/<slug>/usage.csv")
@requires(Member())
def download(slug: str) -> Response:
    who = principal()
    with transaction(*who.partition) as session:
        figures = _figures(session)
    rows = [[day.isoformat(), *values] for day, values in figures.chart.days]
    filename = f"usage-{slug}-{who.mode}-{figures.days}-days.csv"
    return csv_answer(filename, ["Day (UTC)", *figures.chart.series], rows)


@blueprint.post("/dashboard/<slug>/usage/cap")
@requires(Member(action=Action.SET_CAPS))
def cap_organization(slug: str) -> BaseResponse:
    typed = request.form.get("cap", "")
    try:
        cap = _cap(typed)
    except BadRequest as error:
        return _page(Problem("organization", typed, error.message))
    with transaction(principal().org_id) as session:
        caps.set_for_organization(session, principal(), cap, now())
    flash("The organization has no spend cap." if cap is None else f"Spend cap set to {cap:,}.")
    return _back(slug)


@blueprint.post("/dashboard/<slug>/usage/key-cap")
@requires(Member(action=Action.SET_CAPS))
def cap_key(slug: str) -> BaseResponse:
    typed, key_id = request.form.get("cap", ""), request.form.get("key", "")[:32]
    try:
        cap = _cap(typed)
        with transaction(principal().org_id) as session:
            caps.set_for_key(session, principal(), key_id, cap, now())
    except BadRequest as error:
        return _page(Problem("key", typed, error.message))
    except NotFound:
        return _page(Problem("chosen key", typed, "Choose one of this organization's live keys."))
    flash("The key has no spend cap." if cap is None else f"The key's spend cap is {cap:,}.")
    return _back(slug)


def _page(problem: Problem | None = None) -> Response:
    who, moment = principal(), now()
    with transaction(*who.partition) as session:
        figures = _figures(session)
        month = limits.summarise(session, who, moment)
        cap = caps.of_organization(session, who.org_id, period_of(moment))
        keys = caps.of_keys(session, who.org_id, period_of(moment), moment)
    answer = page_of(
        "dashboard/usage.html",
        days=figures.days,
        by=figures.by,
        chart=figures.chart,
        consumers=figures.consumers,
        corrected=figures.corrected,
        bars=charts.bars(figures.chart),
        period_items=charts.period_items(figures.days, by=figures.by),
        key_options=[(key.id, key.label) for key in keys],
        query=charts.query,
        principal=who,
        may_cap=who.may(Action.SET_CAPS),
        month=month,
        cap=cap,
        keys=keys,
        chosen_key=(request.form.get("key") or request.args.get("key", ""))[:32],
        problem=problem,
    )
    answer.status_code = 400 if problem else 200
    return answer


def _figures(session: TenantSession) -> Figures:
    days, mode = charts.chosen_days(), principal().mode
    first, today = charts.window(days)
    consumers = usage_days.consumers(session, mode, first, today, MOST_CONSUMERS)
    corrected = usage_days.corrected(session, mode, first, today)
    if request.args.get("by") == CONSUMER:
        chart = usage_days.by_consumer(session, mode, first, today, consumers)
        return Figures(days, CONSUMER, chart, consumers, corrected)
    chart = usage_days.by_surface(session, mode, first, today)
    return Figures(days, SURFACE, chart, consumers, corrected)


def _cap(typed: str) -> int | None:
    """The number of images that was typed, None for nothing. Raises BadRequest."""
    digits = typed[:CAP_CHARACTERS].translate({ord(mark): None for mark in " ,.'’"})
    if not digits:
        return None
    if not digits.isascii() or not digits.isdigit() or int(digits) > caps.HIGHEST:
        raise BadRequest(f"Enter a whole number up to {caps.HIGHEST:,}, or nothing for no cap.")
    return int(digits)


def _back(slug: str) -> BaseResponse:
    return redirect(url_for("dashboard.usage.show", slug=slug, _anchor="caps"), 303)
