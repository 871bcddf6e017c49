"""Who may call a view. Each view names one requirement: ``@requires(Key("read"))``.

A requirement identifies the caller before the rate limit counts the request, and refuses it
afterwards.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, cast

import structlog
from flask import current_app, g, request, session

from app.errors import (
    AppError,
    CrossSite,
    Forbidden,
    NotFound,
    NotSignedIn,
    RoleTooLow,
    Unauthenticated,
    UpgradeRequired,
)
from app.models import ActorKind, Role
from app.services.accounts import identity, keys
from app.services.accounts.principal import Principal
from app.web import media
from app.web.context import container, now
from app.web.request import api_request

View = TypeVar("View", bound=Callable[..., Any])
Scope = Literal["read", "write"]
StaffRole = Literal["support", "billing", "admin"]
READING = frozenset({"GET", "HEAD"})


class Requirement(Protocol):
    def identify(self) -> Principal | None:
        """Return the caller; None if the view does not need one. Raises AppError if authentication
        fails."""

    def authorize(self, principal: Principal) -> None:
        """Raises AppError if the principal may not call the view."""


@dataclass(frozen=True)
class Nothing:
    """The view needs no authentication."""

    def identify(self) -> None:
        """No authentication."""

    def authorize(self, principal: Principal) -> None:
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
        return keys.authenticate(key, now(), container().settings.test_images_per_day)

    def authorize(self, principal: Principal) -> None:
        if self.scope not in principal.scopes:
            raise Forbidden(
                f"This API key lacks the scope '{self.scope}', which {request.method} "
                f"{request.path} needs."
            )


@dataclass(frozen=True)
class Workspace(Key):
    """Like ``Key``, but a live key's plan must include the workspace API; test keys work on any
    plan."""

    def authorize(self, principal: Principal) -> None:
        if principal.is_live and not principal.allowance.workspace_api:
            raise UpgradeRequired(
                f"The {principal.allowance.plan} plan does not include the workspace API. Upgrade, "
                f"or try a test key.{principal.allowance.arrears}"
            )
        super().authorize(principal)


@dataclass(frozen=True)
class User:
    """A signed-in user with this role or a higher one in the session's organization."""

    role: Role

    def identify(self) -> Principal:
        if principal := _signed_in(ActorKind.USER):
            return principal
        raise NotSignedIn("Sign in to see this page.")

    def authorize(self, principal: Principal) -> None:
        _refuse_cross_site()
        if principal.role is None or not principal.role.includes(self.role):
            raise RoleTooLow(f"You are {principal.role} here; this takes the role '{self.role}'.")


@dataclass(frozen=True)
class Staff:
    """A signed-in member of staff. Everyone else gets 404.

    Staff roles are not stored yet: a user with ``users.is_staff`` has every role.
    """

    role: StaffRole

    def identify(self) -> Principal:
        if principal := _signed_in(ActorKind.STAFF):
            return principal
        raise NotFound(f"There is nothing at {request.method} {request.path}.")

    def authorize(self, _principal: Principal) -> None:
        _refuse_cross_site()


def requires(requirement: Requirement) -> Callable[[View], View]:
    """Declare that callers of the view must meet ``requirement``."""

    def mark(view: View) -> View:
        view.requirement = requirement  # type: ignore[attr-defined]  # read by required()
        return view

    return mark


def required() -> Requirement | None:
    """Return the matched view's requirement; None if no view matched, or for a preflight."""
    if request.endpoint is None or request.method == "OPTIONS":
        return None
    view: Any = current_app.view_functions[request.endpoint]
    return cast(Requirement, view.requirement)


def identify() -> None:
    """Identify the caller. A failure is stored, not raised, because the rate limit comes first."""
    g.principal = g.refusal = None
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


def authorize() -> None:
    """Refuse a caller that does not meet the requirement, and raise the body's limits to the
    plan's."""
    if g.refusal:
        raise g.refusal
    if (requirement := required()) and g.principal:
        requirement.authorize(g.principal)
        api_request().allow(g.principal.allowance, uploads=media.FORM in media.taken())


def _sent_key() -> str | None:
    """Return the key from ``Authorization: Bearer <key>`` (RFC 6750 §2.1), else from
    ``x-api-key``."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return request.headers.get("X-Api-Key")


def _signed_in(kind: ActorKind) -> Principal | None:
    """Return the user of the signed session, with its current data from the database."""
    user_id, org_id = session.get("user_id"), session.get("org_id")
    if not user_id or not org_id:
        return None
    return identity.signed_in(
        kind, user_id, org_id, now(), container().settings.test_images_per_day
    )


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
