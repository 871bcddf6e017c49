"""``/dashboard/<slug>/trash``: deleted images, which can be restored for 30 days."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Blueprint, flash, jsonify, redirect, request
from flask import Response as Page
from werkzeug.wrappers import Response

from app.dashboard import wording
from app.dashboard.frame import page_of
from app.errors import BadRequest
from app.models import Actor, TrashedAsset
from app.services.accounts import activity
from app.services.accounts.permissions import Action
from app.services.library import trash
from app.services.library.trash import Place
from app.web.context import container, now, principal, workspace_transaction
from app.web.formats import size
from app.web.links import in_mode, thumbnail
from app.web.request import wants_json
from app.web.requirements import Member, requires

blueprint = Blueprint("trash", __name__, url_prefix="/dashboard/<slug>/trash")

PAGE_SIZE = 60
MOST_AT_ONCE = 1000
ID = re.compile(r"\w{1,32}", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Shown:
    """An asset in the trash. ``left`` is in days, at least 1."""

    row: TrashedAsset
    thumbnail: str
    by: str
    goes_at: datetime
    left: int


@blueprint.get("")
@requires(Member())
def index(slug: str) -> Page:
    moment = now()
    with workspace_transaction() as session:
        page = trash.page_of(session, _place(request.args.get("before", "")), PAGE_SIZE)
        totals = trash.totals(session)
        names = activity.names_of(session, [trash.deleted_by(row) for row in page.assets])
    return page_of(
        "dashboard/library/trash.html",
        shown=[_shown(row, names, moment) for row in page.assets],
        totals=totals,
        next=page.next and _cursor(page.next),
        is_first="before" not in request.args,
        is_live=principal().is_live,
        may_empty=principal().may(Action.EMPTY_TRASH),
        asked=request.args.get("confirm") == "empty",
        until=f"{moment:%Y-%m-%dT%H:%M:%S.%f}",
        days=trash.RETENTION.days,
        site=container().settings.site,
    )


@blueprint.post("/restore")
@requires(Member(action=Action.CHANGE_IMAGES))
def restore(slug: str) -> Response:
    """One image (``only``), or those that are chosen (``ids``)."""
    ids = _chosen()
    with workspace_transaction() as session:
        restored = trash.restore(session, ids)
    if wants_json():
        return jsonify({"restored": restored})
    flash(
        f"{wording.images(len(restored))} restored."
        if restored
        else "These images are not in the trash any more."
    )
    return _back(slug)


@blueprint.post("/empty")
@requires(Member(action=Action.EMPTY_TRASH))
def empty(slug: str) -> Response:
    """What was there when the page was shown; what came later stays."""
    until = _until(request.form.get("until", ""))
    with workspace_transaction() as session:
        lost = trash.empty(session, principal().actor, until, now())
    flash(
        f"{wording.images(lost.number)} deleted for good. {size(lost.size)} are free again."
        if lost.number
        else "The trash is empty already."
    )
    return _back(slug)


def _shown(row: TrashedAsset, names: Mapping[Actor, str], moment: datetime) -> Shown:
    goes_at = trash.goes_at(row)
    left = max(1, -((moment - goes_at) // DAY))
    by = names[trash.deleted_by(row)]
    return Shown(row, thumbnail(row.thumbnail_key), by, goes_at, left)


def _chosen() -> list[str]:
    """The ids of the form, without what can be no id. Raises BadRequest."""
    if only := request.form.get("only"):
        ids = [only]
    else:
        ids = request.form.getlist("ids")
    if not ids:
        raise BadRequest("Choose the images to restore first.", errors=["ids: is required"])
    if len(ids) > MOST_AT_ONCE:
        raise BadRequest(
            f"Restore at most {MOST_AT_ONCE:,} images at once.",
            errors=[f"ids: at most {MOST_AT_ONCE:,}"],
        )
    return [one for one in ids if ID.fullmatch(one)]


def _until(text: str) -> datetime:
    """When the page was shown. Raises BadRequest."""
    try:
        until = datetime.fromisoformat(f"{text}Z")
    except ValueError:
        raise BadRequest(
            "The form was not whole. Open the trash again, and empty it there.",
            errors=["until: must be the moment when the trash was shown"],
        ) from None
    return min(until, now())


def _cursor(place: Place) -> str:
    return f"{(place.deleted_at - EPOCH) // timedelta(microseconds=1)}.{place.asset_id}"


def _place(cursor: str) -> Place | None:
    """Where the page begins: with the last deleted ones if the cursor can't be read."""
    microseconds, _, asset_id = cursor.partition(".")
    if not ID.fullmatch(asset_id):
        return None
    try:
        return Place(EPOCH + timedelta(microseconds=int(microseconds[:18])), asset_id)
    except (ValueError, OverflowError):
        return None


def _back(slug: str) -> Response:
    return redirect(in_mode(f"/dashboard/{slug}/trash"), 303)
