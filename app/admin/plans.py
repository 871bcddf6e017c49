"""``/admin/plans``: what plans allow, whom a change reaches, and plans for one customer."""

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from app.admin.acting import acting
from app.admin.frame import admin_page
from app.errors import AppError, BadRequest
from app.extensions import transaction
from app.models import FREE, Plan
from app.services.billing.plans import plan_ranks
from app.services.staff import plan_reach, plans
from app.services.staff.duties import Duty
from app.services.staff.plan_reach import Reached
from app.services.staff.plan_values import CHOICES, NUMBERS, TEXTS, form_of, problem_of, read
from app.tenancy import TenantSession, unscoped
from app.web.context import container, now
from app.web.csv_answer import csv_answer
from app.web.page_forms import problems_of, refused
from app.web.requirements import Staff, requires

blueprint = Blueprint("plans", __name__)
HOME = "/admin/plans"
WHY = "what staff show of plans"
COLUMNS = (
    "Id", "Name", "Images this month", "Storage in bytes", "Over the images", "Over the storage",
)  # fmt: skip
FIELDS = (*TEXTS, *NUMBERS, *CHOICES)
CHOSEN = ("code", "above", "org_id", "reason")
"""What only the form of a new plan has, beside the reason."""
MAX_VERSION = 2**31 - 1
MAX_TEXT = 500


@blueprint.get("/plans")
@requires(Staff(Duty.LOOK))
def index() -> Response:
    with transaction() as session, unscoped(session, WHY):
        rows = plans.all_plans(session, now())
    return admin_page("admin/plans/index.html", rows=rows)


@blueprint.get("/plans/<code>")
@requires(Staff(Duty.LOOK))
def show(code: str) -> Response:
    with transaction() as session, unscoped(session, WHY):
        plan = plans.plan_of(session, code)
        reach = plan_reach.reach(session, code, plans.state(plan), now())
        versions = plans.versions_of(session, code)
    settings = container().settings
    kinds = ((settings.stripe_prices, False), (settings.stripe_metered_prices, True))
    prices = [(one, metered) for ones, metered in kinds for one in ones if one.plan == code]
    return admin_page(
        "admin/plans/show.html",
        plan=plan,
        reach=reach,
        versions=[
            (one, _differences(older.values if older else {}, one.values))
            for one, older in zip_longest(versions, versions[1:])
        ],
        prices=prices,
    )


@blueprint.get("/plans/<code>/edit")
@requires(Staff(Duty.EDIT_PLANS))
def edit(code: str) -> Response:
    """The form; with values in the query, what they would do, or what is wrong with them."""
    if "version" in request.args:
        return _preview(code, request.args)
    with transaction() as session:
        plan = plans.plan_of(session, code)
        version = plans.version_number(session, code)
    return _form(plan, form_of(plans.state(plan)), version)


@blueprint.post("/plans/<code>/edit")
@requires(Staff(Duty.EDIT_PLANS))
def change(code: str) -> Response | BaseResponse:
    with transaction() as session:
        plan = plans.plan_of(session, code)
    try:
        values = _values(request.form, plan)
        with acting("plan.changed", subject=code) as act:
            version = _version(request.form)
            act.before, act.after = plans.change(
                act.session, code, version, values, act.who, act.now
            )
    except BadRequest as refusal:
        return _preview(code, request.form, refusal)
    flash(f"{plan.title} is changed, and holds from the next request on.")
    return redirect(f"{HOME}/{code}", 303)


@blueprint.get("/plans/<code>/organizations.csv")
@requires(Staff(Duty.LOOK))
def download(code: str) -> Response:
    """All organizations on the plan, and which would be over the limits of the query, or are over
    those of the plan."""
    with transaction() as session:
        plan = plans.plan_of(session, code)
    values = _values(request.args, plan) if "version" in request.args else plans.state(plan)
    rows = plan_reach.all_reached(code, values, now())
    return csv_answer(f"plan-{code}.csv", COLUMNS, map(_cells, rows))


@blueprint.get("/plans/new")
@requires(Staff(Duty.EDIT_PLANS))
def new() -> Response:
    with transaction() as session:
        template = _template(session, request.args.get("template", ""))
    values = {"code": "", "above": template.code, "org_id": request.args.get("org_id", "")[:32]}
    own = form_of(plans.state(template)) | dict.fromkeys(TEXTS, "") | {"price_cents": ""}
    return _new_form(template, own | values)


@blueprint.post("/plans/new")
@requires(Staff(Duty.EDIT_PLANS))
def make() -> Response | BaseResponse:
    largest = container().settings.max_request_mb
    with transaction() as session:
        template = _template(session, request.form.get("template", ""))
    try:
        with transaction() as session:
            wanted = plans.wanted(session, request.form, template, largest)
        with acting("plan.made", org_id=wanted.org_id, subject=wanted.code) as act:
            organization = plans.make(act.session, wanted, act.who, act.now)
            act.after = wanted.values | {"above": wanted.above}
            holds, name = organization.plan_code == wanted.code, organization.name
    except BadRequest as refusal:
        return _new_form(template, _sent(request.form, *CHOSEN), refusal)
    still = "" if holds else f" {organization.plan_code}, which it pays for, is higher and holds."
    flash(f"{wanted.code} is made, and granted to {name}.{still}")
    return redirect(f"{HOME}/{wanted.code}", 303)


def _values(form: Mapping[str, str], plan: Plan) -> dict[str, Any]:
    """Raises BadRequest, which names each field."""
    values, problems = read(form, plan, container().settings.max_request_mb)
    if not problems and (problem := problem_of(plan.code, values)):
        problems.append(problem)
    if problems:
        raise BadRequest.of_fields(problems, "Several fields are not valid.")
    return values


def _version(form: Mapping[str, str]) -> int:
    """Raises BadRequest."""
    text = form.get("version", "")
    if not (text.isascii() and text.isdigit() and len(text) < len(str(MAX_VERSION))):
        raise BadRequest("The form does not say which version it is of. Begin again.")
    return int(text)


def _preview(code: str, form: Mapping[str, str], refusal: AppError | None = None) -> Response:
    """What the values would do; the form again if they are not valid."""
    with transaction() as session, unscoped(session, "whom a change of a plan reaches"):
        plan = plans.plan_of(session, code)
        try:
            values, version = _values(form, plan), _version(form)
        except BadRequest as problem:
            return _form(plan, _sent(form), plans.version_number(session, code), problem)
        before = plans.state(plan)
        reach = plan_reach.reach(session, code, values, now())
    fields = _sent(form) | {"version": str(version)}
    answer = admin_page(
        "admin/plans/preview.html",
        plan=plan,
        values=values,
        reach=reach,
        differences=_differences(before, values),
        fields=fields,
        query=urlencode(fields),
        problems=problems_of(refusal),
    )
    return refused(answer, refusal)


def _form(
    plan: Plan, form: Mapping[str, str], version: int, refusal: AppError | None = None
) -> Response:
    answer = admin_page(
        "admin/plans/edit.html",
        plan=plan,
        form=form,
        version=version,
        largest=container().settings.max_request_mb,
        is_free=plan.code == FREE,
        problems=problems_of(refusal),
    )
    return refused(answer, refusal)


def _new_form(template: Plan, form: Mapping[str, str], refusal: AppError | None = None) -> Response:
    with transaction() as session:
        codes = plan_ranks(session)
    answer = admin_page(
        "admin/plans/new.html",
        begun_as=template,
        codes=[(code, code.capitalize()) for code in codes],
        form=form,
        largest=container().settings.max_request_mb,
        problems=problems_of(refusal),
    )
    return refused(answer, refusal)


def _template(session: TenantSession, code: str) -> Plan:
    """The plan that a new one begins as: the highest of the price list unless named."""
    return plans.plan_of(session, code) if code else plans.highest(session)


def _sent(form: Mapping[str, str], *more: str) -> dict[str, str]:
    """The fields as they were sent, as far as they can be shown again."""
    return {name: form.get(name, "").replace("\0", "")[:MAX_TEXT] for name in (*FIELDS, *more)}


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What differs, as (name, before, after)."""
    names = [name for name in plans.VALUES if name in after]
    if not before:
        return []
    return [
        (name, before.get(name), after[name]) for name in names if before.get(name) != after[name]
    ]


def _cells(row: Reached) -> tuple[object, ...]:
    over = ("yes" if row.over_images else "no", "yes" if row.over_storage else "no")
    return (row.id, row.name, row.used, row.stored, *over)
