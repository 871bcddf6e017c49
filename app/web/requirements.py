"""Who may call a view. Each view names one requirement: ``@requires(Key("read"))``.

A requirement identifies the caller before the rate limit counts the request, and refuses it
afterwards.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, cast
from urllib.parse import urlencode

import structlog
from flask import Response, current_app, g, redirect, request, url_for
from flask_limiter.util import get_remote_address
from werkzeug.wrappers import Response as BaseResponse

from app import read_only
from app.errors import (
    AppError,
    CrossSite,
    Forbidden,
    NotFound,
    NotSignedIn,
    ReauthenticationNeeded,
    RoleTooLow,
    Unauthenticated,
    UpgradeRequired,
    ViewOnly,
)
from app.models import Mode
from app.services.accounts import identity, keys
from app.services.accounts.permissions import Action
from app.services.accounts.principal import Principal
from app.services.staff import duties, viewing
from app.services.staff.duties import Duty
from app.web import links, media, sessions
from app.web.addresses import is_within
from app.web.context import container, now, principal
from app.web.request import api_request

View = TypeVar("View", bound=Callable[..., Any])
Scope = Literal["read", "write"]
SIGN_IN = "/login"
SIGN_IN_AGAIN = "/login/again"
READING = frozenset({"GET", "HEAD"})


class Requirement(Protocol):
    def identify(self) -> Principal | None:
        """Return the caller in an organization; None if the view is not about one. Raises AppError
        if authentication fails."""

    def authorize(self) -> None:
        """Raises AppError if the caller, who was identified, may not call the view."""


@dataclass(frozen=True)
class Nothing:
    """The view needs no authentication."""

    def identify(self) -> None:
        """No authentication."""

    def authorize(self) -> None:
        """No authorization."""


@dataclass(frozen=True)
class Key:
    """An API key with a scope."""

    scope: Scope

    def identify(self) -> Principal:
        if not (key := _sent_key()):
            raise Unauthenticated(
                "Send your API key as 'Authorization: Bearer <key>' or as 'x-api-key: <key>'."
            )
        return keys.authenticate(
            key,
            now(),
            container().settings.test_images_per_day,
            address=get_remote_address(),
            call=f"{request.method} {request.url_rule}",
        )

    def authorize(self) -> None:
        if self.scope not in principal().scopes:
            raise Forbidden(
                f"This API key lacks the scope '{self.scope}', which {request.method} "
                f"{request.path} needs."
            )


@dataclass(frozen=True)
class Workspace(Key):
    """Like ``Key``, but a live key's plan must include the workspace API; test keys work on any
    plan."""

    def authorize(self) -> None:
        _require_workspace("try a test key")
        super().authorize()


@dataclass(frozen=True)
class Visitor:
    """Anybody with a browser, signed in or not."""

    def identify(self) -> None:
        sessions.signed_in_person()

    def authorize(self) -> None:
        _refuse_cross_site()


@dataclass(frozen=True)
class User:
    """A signed-in person. ``recent`` is whether they must have shown the password or a passkey in
    the last 10 minutes."""

    recent: bool = False

    def identify(self) -> Principal | None:
        if sessions.signed_in_person() is None:
            raise NotSignedIn("Sign in to see this page.")
        return None

    def authorize(self) -> None:
        _refuse_cross_site()
        _require_recent(self.recent)


@dataclass(frozen=True)
class Member(User):
    """A member of the organization in the path (``<slug>``) whose role may do ``action``. Others
    get the same 404 as for an organization that does not exist. A former slug leads to the present
    one.

    ``?mode=test`` asks for the organization's test data. ``workspace`` is whether the plan must
    include the workspace API, as ``Workspace`` demands of keys; test data needs no plan.

    While the organization is suspended its pages can be looked at only; ``while_suspended`` is
    whether this view goes on.

    Staff who view the organization are let in as well, in a request that can change nothing
    (docs/decisions/046).
    """

    action: Action = Action.VIEW
    workspace: bool = False
    while_suspended: bool = False

    def identify(self) -> Principal:
        super().identify()
        slug = str((request.view_args or {})["slug"])
        mode = Mode.TEST if request.args.get("mode") == Mode.TEST else Mode.LIVE
        test_images = container().settings.test_images_per_day
        address = sessions.device().address
        member = identity.member_of(sessions.person(), slug, mode, address, now(), test_images)
        if member is None and is_staff_here():
            member = viewing.viewer_of(sessions.person(), slug, mode, address, now(), test_images)
        if member is None:
            raise NotFound(f"There is nothing at {request.method} {request.path}.")
        if member.viewing:
            read_only.begin()
        return member

    def authorize(self) -> None:
        if principal().viewing and request.method not in READING:
            raise ViewOnly
        principal().require(self.action)
        if request.method not in READING and not self.while_suspended:
            keys.check_suspension(principal().suspended)
        super().authorize()
        if self.workspace:
            _require_workspace("switch to test data")


@dataclass(frozen=True)
class Staff:
    """A signed-in member of staff whose role includes ``duty``, in a session with a second factor,
    from a network in ``ADMIN_NETWORKS``. Everyone who is not staff gets 404.

    ``recent`` is as in ``User``.
    """

    duty: Duty
    recent: bool = False

    def identify(self) -> None:
        if not is_staff_here():
            raise NotFound(f"There is nothing at {request.method} {request.path}.")

    def authorize(self) -> None:
        who = sessions.person()
        if who.staff_role is None or not duties.may(who.staff_role, self.duty):
            raise RoleTooLow(
                f"Your role is {who.staff_role}. To {self.duty} takes the role "
                f"{duties.LOWEST_ROLES[self.duty]} or a higher one."
            )
        _refuse_cross_site()
        _require_recent(self.recent)


@dataclass(frozen=True)
class Scraper:
    """A program that reads figures: it sends ``METRICS_TOKEN``, or comes from a network in
    ``METRICS_NETWORKS``. All others get 404."""

    def identify(self) -> None:
        settings = container().settings
        sent = (_bearer() or "").encode()
        is_known = bool(settings.metrics_token) and hmac.compare_digest(
            sent, settings.metrics_token.encode()
        )
        if not is_known and not is_within(settings.metrics_networks):
            raise NotFound(f"There is nothing at {request.method} {request.path}.")

    def authorize(self) -> None:
        """No authorization."""


HIDDEN = (Staff, Scraper)
"""Views of which outsiders must not learn: all that is asked of them is answered as if they did not
exist."""


def is_staff_here() -> bool:
    """Whether a member of staff is signed in with a second factor, and where they may be."""
    person = sessions.signed_in_person()
    if person is None or not person.counts_as_staff:
        return False
    networks = container().settings.admin_networks
    return not networks or is_within(networks)


def hide_console() -> None:
    """Below ``/admin``, outsiders get the same 404 for a method that a page does not take as for
    what does not exist. Raises NotFound."""
    is_below = f"{request.path}/".startswith("/admin/")
    if is_below and request.routing_exception is not None and not is_staff_here():
        raise NotFound(f"There is nothing at {request.method} {request.path}.")


def requires(requirement: Requirement) -> Callable[[View], View]:
    """Declare that callers of the view must meet ``requirement``."""

    def mark(view: View) -> View:
        view.requirement = requirement  # type: ignore[attr-defined]  # read by required()
        return view

    return mark


def required() -> Requirement | None:
    """Return the matched view's requirement; None if no view matched, or for a preflight, unless
    that would tell outsiders of the view."""
    if request.endpoint is None:
        return None
    view: Any = current_app.view_functions[request.endpoint]
    requirement = cast(Requirement, view.requirement)
    is_preflight = request.method == "OPTIONS" and not isinstance(requirement, HIDDEN)
    return None if is_preflight else requirement


def is_hidden() -> bool:
    """Whether the caller, who was identified, is not to know that there is a view."""
    return g.refusal is not None and isinstance(required(), HIDDEN)


def identify() -> None:
    """Identify the caller. A failure is stored, not raised, because the rate limit comes first."""
    g.principal = g.refusal = None
    sessions.forget()
    read_only.end()
    if not (requirement := required()):
        return
    try:
        g.principal = requirement.identify()
    except AppError as refusal:
        g.refusal = refusal
    if g.principal:
        actor = g.principal.actor
        structlog.contextvars.bind_contextvars(
            org_id=g.principal.org_id, actor_kind=actor.kind.value, actor_id=actor.id
        )


def authorize() -> BaseResponse | None:
    """Refuse a caller that does not meet the requirement, and raise the body's limits to the
    plan's. People who have to sign in first are led to the page for it."""
    try:
        if g.refusal:
            raise g.refusal
        if requirement := required():
            requirement.authorize()
    except NotSignedIn:
        return _lead_to(SIGN_IN)
    except ReauthenticationNeeded:
        return _lead_to(SIGN_IN_AGAIN)
    if moved := _present_path():
        return redirect(moved, 308)
    if g.principal:
        api_request().allow(g.principal.allowance, uploads=media.FORM in media.taken())
    return None


def _sent_key() -> str | None:
    """Return the key from ``Authorization: Bearer <key>`` (RFC 6750 §2.1), else from
    ``x-api-key``."""
    return _bearer() or request.headers.get("X-Api-Key")


def _bearer() -> str | None:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    return (credentials.strip() or None) if scheme.lower() == "bearer" else None


def _require_workspace(otherwise: str) -> None:
    """Raises UpgradeRequired."""
    allowance = principal().allowance
    if not principal().has_workspace:
        raise UpgradeRequired(
            f"The {allowance.plan} plan does not include the workspace API. Upgrade, "
            f"or {otherwise}.{allowance.arrears}"
        )


def _require_recent(recent: bool) -> None:
    """Raises ReauthenticationNeeded."""
    if recent and not sessions.person().is_recent(now()):
        raise ReauthenticationNeeded("Enter your password, or use your passkey, once more.")


def _lead_to(path: str) -> BaseResponse:
    """Redirect to a page that leads back: to this page, or after a write to the page that sent
    it. For htmx the redirect is a header, because a fetched page would land inside this one."""
    if request.method in READING and "HX-Request" not in request.headers:
        back = request.full_path.rstrip("?")
    else:
        back = links.next_path(request.referrer)
    location = f"{path}?{urlencode({'next': back})}"
    if "HX-Request" in request.headers:
        return Response(headers={"HX-Redirect": location})
    return redirect(location, 303)


def _present_path() -> str | None:
    """Where the page stands now, if the path names the organization by a slug that it had before.
    Forms that were sent there are taken as they are."""
    slug, named = g.principal and g.principal.slug, request.view_args or {}
    if not slug or request.method not in READING or named["slug"] == slug:
        return None
    path = url_for(str(request.endpoint), **{**named, "slug": slug})
    query = request.query_string.decode()
    return f"{path}?{query}" if query else path


def _refuse_cross_site() -> None:
    """Refuse writes from other sites, because browsers send the session cookie with those too.
    Raises CrossSite."""
    if request.method in READING:
        return
    site = request.headers.get("Sec-Fetch-Site")
    own = (
        site in ("same-origin", "none")
        if site
        else request.headers.get("Origin") == request.host_url.rstrip("/")
    )
    if not own:
        raise CrossSite("This request comes from another site. Repeat it on our own page.")
