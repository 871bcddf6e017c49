"""``/admin/stripe``: the inbox of Stripe's events."""

import json
from dataclasses import asdict
from datetime import datetime
from urllib.parse import urlencode

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from app.admin.acting import acting
from app.admin.frame import admin_page
from app.extensions import transaction
from app.services.billing import inbox
from app.services.staff import cursor, stripe_inbox
from app.services.staff.duties import Duty
from app.services.staff.stripe_inbox import Filter
from app.tenancy import unscoped
from app.web.context import container, now, require_provider
from app.web.requirements import Staff, requires

blueprint = Blueprint("stripe", __name__, url_prefix="/stripe")
HOME = "/admin/stripe"
MAX_SUBJECT = 255


@blueprint.get("")
@requires(Staff(Duty.LOOK))
def index() -> Response:
    narrow = _filter()
    before = cursor.decode(request.args.get("before", ""), datetime)
    if before and before.value is None:
        before = None
    with transaction() as session:
        events, place = stripe_inbox.newest(session, narrow, before)
        unpriced = stripe_inbox.unpriced(session)
    narrowed = asdict(narrow)
    older = f"?{urlencode({**narrowed, 'before': cursor.encode(place)})}" if place else None
    return admin_page(
        "admin/stripe/index.html",
        events=events,
        older=older,
        first=f"?{urlencode(narrowed)}" if before else None,
        narrow=narrow,
        types=[("", "All"), *((one, one) for one in stripe_inbox.TYPES)],
        unpriced=unpriced,
        is_configured=container().provider is not None,
    )


def _filter() -> Filter:
    """What is no type or state narrows nothing."""
    given = {name: request.args.get(name, "") for name in ("subject", "type", "state")}
    return Filter(
        given["subject"].replace("\0", "").strip()[:MAX_SUBJECT],
        given["type"] if given["type"] in stripe_inbox.TYPES else "",
        given["state"] if given["state"] in stripe_inbox.STATES else "",
    )


@blueprint.get("/<event_id>")
@requires(Staff(Duty.LOOK))
def show(event_id: str) -> Response:
    with transaction() as session, unscoped(session, "staff look at an event of Stripe"):
        event = stripe_inbox.find(session, event_id)
        org_id = stripe_inbox.organization_of(session, event)
    return admin_page(
        "admin/stripe/show.html",
        event=event,
        org_id=org_id,
        payload=event.payload and json.dumps(event.payload, indent=2, ensure_ascii=False),
        is_configured=container().provider is not None,
    )


@blueprint.post("/<event_id>/replay")
@requires(Staff(Duty.MEND_BILLING))
def replay(event_id: str) -> BaseResponse:
    require_provider()
    with transaction() as session, unscoped(session, "whom an event of Stripe is about"):
        org_id = stripe_inbox.organization_of(session, stripe_inbox.find(session, event_id))
    with acting("stripe_event.replayed", org_id=org_id, subject=event_id) as act:
        was = stripe_inbox.replay(act.session, event_id, now())
        act.before = {"outcome": was.outcome, "handledAt": was.handled_at}
        act.after = dict.fromkeys(act.before)
    inbox.enqueue(container().redis)
    flash("The event is handled again, in a moment.")
    return redirect(f"{HOME}/{event_id}", 303)
