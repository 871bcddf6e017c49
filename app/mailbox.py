"""``/dev/mail``: what a development server would have sent. Production does not have it."""

from typing import Any

from flask import Blueprint, Response

from app.errors import NotFound
from app.extensions import transaction
from app.models import Mail
from app.services import outbox
from app.web.formats import iso
from app.web.pages import page
from app.web.requirements import Nothing, Visitor, requires

blueprint = Blueprint("mailbox", __name__)

MOST = 200
AS_MAIL_CLIENTS = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)
"""The policy for a mail's HTML, whose styles stand on its elements."""


@blueprint.get("/dev/mail")
@requires(Visitor())
def index() -> Response:
    return page("dev/mails.html", mails=_recent(), most=MOST)


@blueprint.get("/dev/mail.json")
@requires(Nothing())
def index_json() -> list[dict[str, Any]]:
    return [
        {
            "to": mail.recipient,
            "subject": mail.subject,
            "text": mail.text,
            "html": mail.html,
            "sentAt": iso(mail.created_at),
        }
        for mail in _recent()
    ]


@blueprint.get("/dev/mail/<mail_id>")
@requires(Visitor())
def show(mail_id: str) -> Response:
    return page("dev/mail.html", mail=_find(mail_id), policy={"frame-src": "'self'"})


@blueprint.get("/dev/mail/<mail_id>/html")
@requires(Nothing())
def html(mail_id: str) -> Response:
    """The mail as its readers see it. Its links leave the frame that it is shown in."""
    content = (_find(mail_id).html or "").replace("<head>", '<head><base target="_top">', 1)
    response = Response(content, mimetype="text/html")
    response.headers["Content-Security-Policy"] = AS_MAIL_CLIENTS
    return response


def _recent() -> list[Mail]:
    with transaction() as session:
        return list(outbox.recent(session, MOST))


def _find(mail_id: str) -> Mail:
    with transaction() as session:
        if mail := session.get(Mail, mail_id):
            return mail
    raise NotFound("There is no such mail. Mails are kept for 30 days.")
