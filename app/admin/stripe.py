"""``/admin/stripe``: the inbox of Stripe's events."""

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
from app.tenancy import unscoped
from app.web.context import container, now, require_provider
from app.web.requirements import Staff, requires

blueprint = Blueprint("stripe", __name__, url_prefix="/stripe")
HOME = "/admin/stripe"
MAX_SUBJECT = 255


@blueprint.get("")
@requires(Staff(Duty.LOOK))
def index() -> Response:
    subject = request.args.get("subject", "").replace("\0", "").strip()[:MAX_SUBJECT]
    waiting = request.args.get("state") == "waiting"
    before = cursor.decode(request.args.get("before", ""), datetime)
    if before and before.value is None:
        before = None
    with transaction() as session:
        events, place = stripe_inbox.newest(session, subject, waiting=waiting, before=before)
    narrowed = {"subject": subject, "state": "waiting" if waiting else ""}
    older = f"?{urlencode({**narrowed, 'before': cursor.encode(place)})}" if place else None
    return admin_page(
        "admin/stripe/index.html",
        events=events,
        older=older,
        first=f"?{urlencode(narrowed)}" if before else None,
        subject=subject,
        waiting=waiting,
        is_configured=container().provider is not None,
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
        act.before = {"outcome": was.outcome, "attempts": was.attempts}
    inbox.enqueue(container().redis)
    flash("The event is handled again, in a moment.")
    return redirect(f"{HOME}/{event_id}", 303)
