"""Who may call a view. Each view names one requirement: ``@requires(Key("read"))``.

A requirement identifies who asks before the rate limit counts the request, and refuses after it.
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
        """Who asks; None where it doesn't matter. Raises AppError for whoever is not let in."""

    def authorize(self, principal: Principal) -> None:
        """Raises AppError where the principal may not do this."""


@dataclass(frozen=True)
class Nothing:
    """The view is open to everybody."""

    def identify(self) -> None:
        """Nobody has to say who they are."""

    def authorize(self, principal: Principal) -> None:
        """Nobody is refused."""


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
    """As ``Key``, and a live key's plan must include the workspace API; test keys may try it on any
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
    """Somebody who is signed in, with this role or a higher one in the session's organization."""

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
    """Somebody of ours who is signed in. Everybody else learns that there is nothing here.

    All that is known of staff as yet is ``users.is_staff``: whoever has it has every role.
    """

    role: StaffRole

    def identify(self) -> Principal:
        if principal := _signed_in(ActorKind.STAFF):
            return principal
        raise NotFound(f"There is nothing at {request.method} {request.path}.")

    def authorize(self, _principal: Principal) -> None:
        _refuse_cross_site()


def requires(requirement: Requirement) -> Callable[[View], View]:
    """The view may be called by whoever meets the ``requirement``."""

    def mark(view: View) -> View:
        view.requirement = requirement  # type: ignore[attr-defined]  # read by required()
        return view

    return mark


def required() -> Requirement | None:
    """What the matched view requires; None where no view matched, or for a preflight."""
    if request.endpoint is None or request.method == "OPTIONS":
        return None
    view: Any = current_app.view_functions[request.endpoint]
    return cast(Requirement, view.requirement)


def identify() -> None:
    """Recognise who asks, without yet refusing: the rate limit comes first."""
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
    """Refuse whoever does not meet the requirement, and open the body as wide as the plan
    allows."""
    if g.refusal:
        raise g.refusal
    if (requirement := required()) and g.principal:
        requirement.authorize(g.principal)
        api_request().allow(g.principal.allowance, uploads=media.FORM in media.taken())


def _sent_key() -> str | None:
    """The key as sent: ``Authorization: Bearer <key>`` (RFC 6750 §2.1) before ``x-api-key``."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return request.headers.get("X-Api-Key")


def _signed_in(kind: ActorKind) -> Principal | None:
    """Whom the signed session names, as the database has them now."""
    user_id, org_id = session.get("user_id"), session.get("org_id")
    if not user_id or not org_id:
        return None
    return identity.signed_in(
        kind, user_id, org_id, now(), container().settings.test_images_per_day
    )


def _refuse_cross_site() -> None:
    """Browsers send the session with other sites' requests too; those must change nothing. Raises
    CrossSite."""
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
