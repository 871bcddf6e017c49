"""``/admin/abuse/blocks``: what is blocked, and until when."""

from datetime import datetime, timedelta

from flask import Blueprint, flash, redirect, request, url_for
from flask import Response as Page
from werkzeug.wrappers import Response

from app.admin.acting import acting
from app.admin.frame import admin_page
from app.errors import AppError, BadRequest, Conflict
from app.extensions import transaction
from app.models import Block, BlockKind, domain_of
from app.services import blocks
from app.services.blocks import Target
from app.services.staff.duties import Duty
from app.web import blocks as known_blocks
from app.web.addresses import remote_ip
from app.web.context import container, now
from app.web.formats import exact
from app.web.page_forms import problems_of, refused
from app.web.requirements import Staff, requires
from app.web.sessions import person

blueprint = Blueprint("blocks", __name__, url_prefix="/abuse/blocks")
PAGE_SIZE = 50
LONGEST_ID = 32
ENDS = {
    "1": "In a day",
    "7": "In 7 days",
    "30": "In 30 days",
    "90": "In 90 days",
    "": "Never: for good",
}
"""Days of a block."""
USUAL = "7"


@blueprint.get("")
@requires(Staff(Duty.LOOK))
def index() -> Page:
    before = request.args.get("before", "").replace("\0", "")[:LONGEST_ID]
    with transaction() as session:
        found = blocks.page_of(session, now(), before, PAGE_SIZE + 1)
    return admin_page(
        "admin/abuse/blocks.html",
        blocks=found[:PAGE_SIZE],
        last=found[PAGE_SIZE - 1].block.id if len(found) > PAGE_SIZE else None,
        is_first=not before,
        text_of=blocks.text_of,
    )


@blueprint.get("/new")
@requires(Staff(Duty.BLOCK))
def show_new() -> Page:
    return _form()


@blueprint.post("/new")
@requires(Staff(Duty.BLOCK))
def add() -> Response:
    """A form that is wide in what it hits comes back once, to have its value typed again."""
    try:
        target = blocks.read(request.form.get("value", ""))
        _check_own(target)
        until = _end()
        with acting("block.added", subject=target.value) as act:
            _check_typed(target, blocks.accounts_at(act.session, target))
            block = blocks.add(act.session, target, until, act.who.reason, act.actor.id, act.now)
            act.after = _state(block)
    except (BadRequest, Conflict) as refusal:
        return _form(refusal)
    known_blocks.known().forget()
    end = f"until {exact(until)}" if until else "for good"
    flash(f"{target.text} is blocked {end}.")
    return redirect(url_for("admin.blocks.index"), 303)


@blueprint.post("/<block_id>/end")
@requires(Staff(Duty.BLOCK))
def end(block_id: str) -> Response:
    with acting("block.ended") as act:
        block = blocks.end(act.session, block_id, act.now)
        act.subject, act.before = block.value, _state(block)
        act.after = dict.fromkeys(act.before)
    known_blocks.known().forget()
    flash(f"{blocks.text_of(block.value)} is not blocked any more.")
    return redirect(url_for("admin.blocks.index"), 303)


def _state(block: Block) -> dict[str, object]:
    return {"kind": block.kind, "until": block.until}


def _check_own(target: Target) -> None:
    """Nobody locks out themselves or their colleagues. Raises BadRequest."""
    if target.kind is BlockKind.MAIL_DOMAIN:
        own = domain_of(person().email)
        if f".{own}".endswith(f".{target.value}"):
            raise blocks.refusal("is the domain of your own address")
        return
    own_address, network = remote_ip(), target.network
    if network and own_address is not None and own_address in network:
        raise blocks.refusal("is where you are yourself")
    for trusted in container().settings.admin_networks:
        if network and trusted.version == network.version and network.overlaps(trusted):
            raise blocks.refusal(f"is among the networks that staff come from: {trusted}")


def _check_typed(target: Target, accounts: int) -> None:
    """A wide block takes its value twice. Raises BadRequest."""
    why = blocks.why_wide(target, accounts)
    if why and request.form.get("typed", "").strip() not in (target.value, target.text):
        raise BadRequest(
            f"{why} To block all of it, type {target.value} once more.",
            errors=[f"typed: {target.value}"],
        )


def _end() -> datetime | None:
    days = request.form.get("days", USUAL)
    if days not in ENDS:
        raise BadRequest.of_fields(["days: choose an end"], "")
    return now() + timedelta(days=int(days)) if days else None


def _form(refusal: AppError | None = None) -> Page:
    problems = problems_of(refusal)
    values = request.form if request.method == "POST" else request.args
    form = admin_page(
        "admin/abuse/new_block.html",
        value=values.get("value", "")[: blocks.LONGEST_TEXT],
        days=values.get("days", USUAL),
        reason=values.get("reason", "")[:500],
        ends=list(ENDS.items()),
        problems=problems,
    )
    return refused(form, refusal)
