"""``/dashboard/<slug>/keys``: the API keys of an organization.

A new key stands in the answer to the form and nowhere else, so there is no redirect. Its secret
follows from a random number in the form and the server's secret key: a form that is sent twice, by
a reload or a double click, shows the same key again and makes no second one.
"""

import hmac
from datetime import timedelta
from secrets import token_urlsafe

from flask import Blueprint, flash, redirect, request
from flask import Response as Page
from werkzeug.wrappers import Response

from app.dashboard.frame import page_of
from app.errors import AppError, BadRequest, Conflict
from app.models import ApiKey
from app.services.accounts import key_management, keys
from app.services.accounts.key_management import ACCESS, MOST_KEYS, OVERLAPS, WantedKey
from app.services.accounts.permissions import Action
from app.web.context import container, now, principal, workspace_transaction
from app.web.page_forms import problems_of, refused, sign, signed
from app.web.requirements import Member, requires

blueprint = Blueprint("keys", __name__, url_prefix="/dashboard/<slug>/keys")

FORM, FORM_VALID = "api key form", timedelta(hours=1)
MANAGE = Action.MANAGE_OWN_TEST_KEYS
"""What members may do; the services ask for more where a key is not a member's own test key."""


@blueprint.get("")
@requires(Member(action=MANAGE))
def index(slug: str) -> Page:
    ended = request.args.get("show") == "ended"
    with workspace_transaction() as session:
        found = key_management.list_of(
            session, principal(), now(), ended=ended, before=request.args.get("before", "")[:32]
        )
    return page_of(
        "dashboard/keys/index.html",
        keys=found[:MOST_KEYS],
        last=found[MOST_KEYS - 1].key.id if len(found) > MOST_KEYS else None,
        ended=ended,
        sees_all=principal().may(Action.MANAGE_KEYS),
        site=container().settings.site,
    )


@blueprint.get("/new")
@requires(Member(action=MANAGE, recent=True))
def ask_new(slug: str) -> Page:
    return _form_of_new()


@blueprint.post("/new")
@requires(Member(action=MANAGE, recent=True))
def create(slug: str) -> Page:
    try:
        secret, wanted = _secret(), WantedKey.read(request.form, now())
        with workspace_transaction() as session:
            key = key_management.create(session, principal(), wanted, secret, now())
    except (BadRequest, Conflict) as refusal:
        return _form_of_new(refusal)
    return _page_of_made(key, secret)


@blueprint.get("/<key_id>")
@requires(Member(action=MANAGE))
def show(slug: str, key_id: str) -> Page:
    with workspace_transaction() as session:
        shown = key_management.find(session, principal(), key_id, now())
    asked = request.args.get("confirm", "")
    return page_of("dashboard/keys/show.html", shown=shown, asked=asked)


@blueprint.get("/<key_id>/rotate")
@requires(Member(action=MANAGE, recent=True))
def ask_rotation(slug: str, key_id: str) -> Page:
    return _form_of_rotation(key_id)


@blueprint.post("/<key_id>/rotate")
@requires(Member(action=MANAGE, recent=True))
def rotate(slug: str, key_id: str) -> Page:
    try:
        secret, overlap = _secret(), _overlap()
        with workspace_transaction() as session:
            key = key_management.rotate(session, principal(), key_id, overlap, secret, now())
    except (BadRequest, Conflict) as refusal:
        return _form_of_rotation(key_id, refusal)
    return _page_of_made(key, secret, overlap)


@blueprint.post("/<key_id>/revoke")
@requires(Member(action=MANAGE))
def revoke(slug: str, key_id: str) -> Response:
    with workspace_transaction() as session:
        key = key_management.revoke(session, principal(), key_id, now())
    flash(f"The key “{key.name}” is revoked.")
    return redirect(f"/dashboard/{slug}/keys", 303)


def _form_of_new(refusal: AppError | None = None) -> Page:
    default = {"mode": principal().mode, "access": "write"}
    form = page_of(
        "dashboard/keys/new.html",
        values=request.form if refusal else default,
        problems=problems_of(refusal),
        may_make_live=principal().may(Action.MANAGE_KEYS),
        today=now().date(),
        once=_new_token(),
    )
    return refused(form, refusal)


def _form_of_rotation(key_id: str, refusal: AppError | None = None) -> Page:
    with workspace_transaction() as session:
        shown = key_management.find(session, principal(), key_id, now())
    form = page_of(
        "dashboard/keys/rotate.html",
        shown=shown,
        problems=problems_of(refusal),
        once=_new_token(),
    )
    return refused(form, refusal)


def _page_of_made(key: ApiKey, secret: str, overlap: timedelta | None = None) -> Page:
    """The key in full. ``overlap`` is how long the key that it replaces works still."""
    return page_of(
        "dashboard/keys/made.html",
        key=key,
        whole=key.prefix + secret,
        overlap=overlap,
        can_write=tuple(key.scopes) == ACCESS["write"],
        site=container().settings.site,
    )


def _overlap() -> timedelta:
    """Raises BadRequest."""
    if (chosen := request.form.get("overlap", "")) not in OVERLAPS:
        problem = "overlap: choose how long the old key works still"
        raise BadRequest.of_fields([problem], problem)
    return OVERLAPS[chosen]


def _new_token() -> str:
    return sign(FORM, FORM_VALID, principal().org_id, token_urlsafe(32))


def _secret() -> str:
    """The secret that follows from the form. Raises BadRequest for a form of somebody else, or an
    old one."""
    org_id, number = signed(FORM, request.form.get("once", "")) or ("", "")
    if org_id != principal().org_id:
        raise BadRequest("This form was open for too long. Send it again.")
    signing = container().settings.secret_key.encode()
    return keys.secret_from(hmac.digest(signing, f"api key {number}".encode(), "sha256"))
