"""From a request to a Principal. Every view names what it needs: ``needs_key`` or
``needs_nothing``."""

from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from flask import current_app, g, request

from app.errors import Forbidden, Unauthenticated, UpgradeRequired
from app.services import keys
from app.web import media
from app.web.context import now, toolbox
from app.web.request import api_request

View = TypeVar("View", bound=Callable[..., Any])
READING = frozenset({"GET", "HEAD"})


def needs_key(view: View) -> View:
    """The view takes an API key: scope ``read`` for GET, ``write`` for every other method."""
    view.authentication = "key"  # type: ignore[attr-defined]  # read by authorize() and by tests/architecture
    return view


def needs_workspace(view: View) -> View:
    """As ``needs_key``, and a live key's plan must include the workspace API; test keys may try it
    on any plan."""
    view.workspace = True  # type: ignore[attr-defined]  # read by authorize()
    return needs_key(view)


def needs_nothing(view: View) -> View:
    """The view is open to everybody."""
    view.authentication = "none"  # type: ignore[attr-defined]
    return view


def sent_key() -> str | None:
    """The key as sent: ``Authorization: Bearer <key>`` (RFC 6750 §2.1) before ``x-api-key``."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return request.headers.get("X-Api-Key")


def identify() -> None:
    """Recognise the key, without yet refusing: the rate limit comes first."""
    g.principal = None
    g.refusal = Unauthenticated(
        "Send your API key as 'Authorization: Bearer <key>' or as 'x-api-key: <key>'."
    )
    if authentication_of_view() != "key" or not (key := sent_key()):
        return
    try:
        g.principal = keys.authenticate(key, now(), toolbox().settings.test_images_per_day)
    except Unauthenticated as refusal:
        g.refusal = refusal
        return
    actor = g.principal.actor
    structlog.contextvars.bind_contextvars(
        org_id=g.principal.org_id, actor_kind=actor.kind.value, actor_id=actor.id
    )


def authentication_of_view() -> str | None:
    """What the matched view asks for; None where no view matched, or for a preflight."""
    if request.endpoint is None or request.method == "OPTIONS":
        return None
    view: Any = current_app.view_functions[request.endpoint]
    return str(view.authentication)


def authorize() -> None:
    """Refuse a request without a valid key, plan or scope, and open the body as wide as the plan
    allows."""
    if authentication_of_view() != "key":
        return
    if g.principal is None:
        raise g.refusal
    view = current_app.view_functions[request.endpoint or ""]
    if (
        getattr(view, "workspace", False)
        and g.principal.is_live
        and not g.principal.allowance.workspace_api
    ):
        raise UpgradeRequired(
            f"The {g.principal.allowance.plan} plan does not include the workspace API. Upgrade, "
            f"or try a test key.{g.principal.allowance.arrears}"
        )
    scope = "read" if request.method in READING else "write"
    if scope not in g.principal.scopes:
        raise Forbidden(
            f"This API key lacks the scope '{scope}', which {request.method} {request.path} needs."
        )
    api_request().allow(g.principal.allowance, uploads=media.FORM in media.taken())
