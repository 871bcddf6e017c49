"""``/`` and ``/plans``: what the product does, and what it costs."""

from collections.abc import Sequence

from flask import Blueprint, Response, redirect, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response as BaseResponse

from app.docs import squeeze
from app.extensions import transaction
from app.models import Plan
from app.web import static_files
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

CURL = """\
curl -F 'files[]=@lake.jpg' -F mimeType=image/webp \\
  -H "x-api-key: $KEY" {host}compress/batch \\
  | jq -r '.results[0].data' | base64 -d > lake.webp"""
"""What made the picture of the home page (docs/home_picture.py)."""


@blueprint.get("/")
@requires(Visitor())
def home() -> Response:
    plans = _listed_plans()
    return page(
        "site/home.html",
        plans=plans,
        largest_batch=max(plan.batch_files for plan in plans),
        before=static_files.size_of("pictures/lake.jpg"),
        after=static_files.size_of("pictures/lake.webp"),
        curl=CURL.format(host=request.host_url),
        place=squeeze.place(),
    )


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
