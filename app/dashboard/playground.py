"""``/dashboard/<slug>/playground``: files are compressed while one looks, and counted as the API
counts them.

Results are kept in the page only, but for answers of up to 1 MB: those are kept for a day, for a
page that asks again because the answer was lost (docs/decisions/040).
"""

from datetime import timedelta

from flask import Blueprint, Response, g, request, url_for

from app.dashboard.frame import page_of
from app.errors import NotFound
from app.services.accounts.permissions import Action
from app.services.compress import compress, compress_uncharged
from app.services.usage import limits
from app.web import one_picture
from app.web.admission import before_body
from app.web.context import container, now, principal, processing, workspace_transaction
from app.web.links import in_mode
from app.web.media import takes_files
from app.web.one_picture import Place, Sent
from app.web.page_forms import sign, signed
from app.web.request import OF_THE_PLAN
from app.web.requirements import Member, requires

blueprint = Blueprint("playground", __name__, url_prefix="/dashboard/<slug>/playground")

TICKET, TICKET_VALID = "original of a compressed file", timedelta(hours=1)


@blueprint.get("")
@requires(Member(action=Action.CHANGE_IMAGES))
def show(slug: str) -> Response:
    allowance = principal().allowance
    path = url_for("dashboard.playground.show", slug=slug)
    place = Place(
        action=in_mode(path),
        mode="live" if principal().is_live else "test",
        left=_left(),
        most=allowance.monthly_images if principal().is_live else allowance.test_images,
        file_bytes=allowance.file_bytes,
    )
    return page_of("dashboard/library/playground.html", place=place, path=path)


def _limit(slug: str) -> None:
    one_picture.limit_body(principal().allowance.file_bytes, OF_THE_PLAN)


@blueprint.post("")
@before_body(_limit)
@takes_files
@requires(Member(action=Action.CHANGE_IMAGES))
def compress_one(slug: str) -> Response:
    """The file, made smaller; with a ticket to see its original."""
    _limit(slug)
    sent = one_picture.read()
    with processing(container().image_work) as context:
        done = compress(
            principal(),
            [sent.upload],
            sent.transform,
            context,
            reference=g.claim.id if g.claim else None,
        )
    answer = one_picture.answer(done.results[0], _left())
    if done.charged:
        answer.headers["X-Image-Processing-Usage"] = str(done.charged)
    answer.headers["X-Original-Ticket"] = sign(TICKET, TICKET_VALID, *_granted(sent))
    return answer


@blueprint.post("/original")
@before_body(_limit)
@takes_files
@requires(Member(action=Action.CHANGE_IMAGES))
def show_original(slug: str) -> Response:
    """A file that was compressed before, as browsers show it."""
    _limit(slug)
    sent = one_picture.read()
    if signed(TICKET, request.form.get("ticket", "")) != _granted(sent):
        raise NotFound("Compress the file first; its original is shown beside the result.")
    with processing(container().image_work) as context:
        shown = compress_uncharged(
            sent.upload,
            principal().watermarked_for_test(one_picture.DISPLAY),
            context,
            principal().org_id,
        )
    return one_picture.answer(shown)


def _granted(sent: Sent) -> list[str]:
    """Whose original a ticket shows. What was compressed as test data, for nothing, is shown as
    test data only."""
    return [*principal().partition, sent.digest]


def _left() -> int | None:
    with workspace_transaction() as session:
        return limits.left(session, principal(), now())
