"""``/`` and ``/plans``: what the product does, and what it costs."""

from collections.abc import Sequence

from flask import Blueprint, Response, redirect, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response as BaseResponse

from app.extensions import transaction
from app.models import Plan
from app.web.context import container
from app.web.pages import page
from app.web.requirements import Nothing, Visitor, requires

blueprint = Blueprint("site", __name__)

RETURNS = {
    ("checkout", "done"): "Thank you. The plan changes within seconds; GET /usage shows it.",
    ("checkout", "cancelled"): "Nothing was bought.",
    ("portal", "done"): "Welcome back. What you changed shows in GET /usage within seconds.",
}
"""Notices for a customer who returns from the payment provider, by query parameter and value."""


@blueprint.get("/")
@requires(Visitor())
def home() -> Response:
    return page("site/home.html", plans=_listed_plans())


@blueprint.get("/plans")
@requires(Visitor())
def plans() -> Response:
    """What the plans cost and allow, and how to change them."""
    notices = [RETURNS[arrival] for arrival in request.args.items() if arrival in RETURNS]
    settings = container().settings
    return page(
        "site/plans.html",
        plans=_listed_plans(),
        notices=notices,
        grace_days=settings.billing_grace_days,
        test_keys=settings.ratelimit_test_keys,
        test_images=settings.test_images_per_day,
    )


@blueprint.get("/docs/billing")
@requires(Nothing())
def billing() -> BaseResponse:
    """Where the plans were before."""
    query = request.query_string.decode()
    return redirect(url_for("docs.site.plans") + (f"?{query}" if query else ""), 301)


def _listed_plans() -> Sequence[Plan]:
    """Plans made for one customer are not shown."""
    with transaction() as session:
        return session.scalars(select(Plan).where(Plan.listed).order_by(Plan.position)).all()
