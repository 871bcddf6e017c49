"""``/squeeze``: three files a day are compressed for everybody. Nothing is stored and nothing is
charged."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Blueprint, Response

from app.extensions import transaction
from app.services.accounts import memberships
from app.services.accounts.permissions import Action, may
from app.services.compress import compress_uncharged
from app.web import one_picture, sessions, static_files, visitors
from app.web.admission import before_body
from app.web.context import container, processing
from app.web.media import takes_files
from app.web.one_picture import Place
from app.web.pages import page
from app.web.requirements import Visitor, requires

blueprint = Blueprint("squeeze", __name__)

PATH = "/squeeze"
SAMPLE = "pictures/lake.jpg"


def place() -> Place:
    """What the visitor may send, for pages that show the form."""
    return Place(PATH, "visitor", visitors.left(), visitors.FILES_A_DAY, visitors.FILE_BYTES)


@blueprint.get(PATH)
@requires(Visitor())
def show() -> Response:
    return page("site/squeeze.html", place=place(), own=_own_playground())


def _limit() -> None:
    visitors.check_runs()
    one_picture.limit_body(visitors.FILE_BYTES, "without an account")


@blueprint.post(PATH)
@before_body(_limit)
@takes_files
@requires(Visitor())
def compress_one() -> Response:
    """The file, made smaller."""
    _limit()
    sent = one_picture.read()
    with (
        _counted(sent.digest),
        processing(container().image_work, group=visitors.GROUP) as context,
    ):
        result = compress_uncharged(sent.upload, sent.transform, context, visitors.GROUP)
    return one_picture.answer(result, visitors.left())


@blueprint.post(f"{PATH}/original")
@before_body(_limit)
@takes_files
@requires(Visitor())
def show_original() -> Response:
    """A file that was compressed today, as browsers show it."""
    _limit()
    sent = one_picture.read()
    with (
        visitors.tried_before(sent.digest),
        processing(container().image_work, group=visitors.GROUP) as context,
    ):
        shown = compress_uncharged(sent.upload, one_picture.DISPLAY, context, visitors.GROUP)
    return one_picture.answer(shown)


@contextmanager
def _counted(digest: str) -> Iterator[None]:
    """Our own sample picture is none of the day's files."""
    if digest == static_files.sha256_of(SAMPLE):
        visitors.count_run()
        yield
    else:
        with visitors.counted(digest):
            yield


def _own_playground() -> str | None:
    """The playground of an organization whose images the visitor may change, where larger files
    count as its plan says."""
    person = sessions.signed_in_person()
    if person is None:
        return None
    with transaction() as session:
        organizations = memberships.organizations_of(session, person.user_id)
    own = [one for one in organizations if may(one.role, Action.CHANGE_IMAGES)]
    return f"/dashboard/{own[0].slug}/playground" if own else None
