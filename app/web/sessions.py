"""The sessions of people: Flask-Login keeps a random token in Flask's signed cookie, and the
database says who it is (docs/decisions/029)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Flask, g, request, session
from flask_limiter.util import get_remote_address
from flask_login import LoginManager, UserMixin, current_user, login_user

from app.extensions import transaction
from app.services.accounts import credentials, sign_ins
from app.services.accounts.sign_ins import Device, Person
from app.web.context import now

login_manager = LoginManager()
HALF = "half"
HALF_LASTS = timedelta(minutes=10)


@dataclass(frozen=True)
class HalfSignedIn:
    """Who has shown their password and not yet the one-time code, and where they want to go."""

    user_id: str
    next_path: str


class SignedIn(UserMixin):  # type: ignore[misc]  # the library has no types
    """A person for Flask-Login, which knows them by their session's token."""

    def __init__(self, token: str, person: Person) -> None:
        self.token = token
        self.person = person

    def get_id(self) -> str:
        return self.token


def init_app(app: Flask) -> None:
    secure = app.extensions["lightwell"].settings.app_env == "production"
    app.config.update(
        SESSION_COOKIE_NAME="__Host-session" if secure else "session",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=sign_ins.LONGEST,
    )
    login_manager.session_protection = None  # its own check would end sessions on a new address
    login_manager.init_app(app, add_context_processor=False)


@login_manager.user_loader  # type: ignore[untyped-decorator]  # the library has no types
def _load(token: str) -> SignedIn | None:
    with transaction() as opened:
        person = sign_ins.find(opened, token, now())
    return SignedIn(token, person) if person else None


def forget() -> None:
    """Forget who was signed in: requests inside one application context share ``g``."""
    g.pop("person", None)
    g.pop("_login_user", None)


def signed_in_person() -> Person | None:
    """The person of the request's session, read once for each request."""
    if "person" not in g:
        g.person = current_user.person if current_user.is_authenticated else None
    return g.person  # type: ignore[no-any-return]


def person() -> Person:
    """The signed-in person; only for views whose requirement identifies one."""
    found = signed_in_person()
    assert found is not None  # noqa: S101  # the requirement has seen to it
    return found


def device() -> Device:
    return Device(get_remote_address(), request.headers.get("User-Agent", ""))


def begin(user_id: str, *, second_factor: bool) -> None:
    """Begin a session under a new token. Nothing of the visitor's cookie before it stays, so that
    nobody can plant a session (CWE-384)."""
    session.clear()
    with transaction() as opened:
        token = sign_ins.begin(opened, user_id, device(), now(), second_factor=second_factor)
        found = sign_ins.find(opened, token, now())
    assert found is not None  # noqa: S101  # it began in this transaction
    session.permanent = True
    login_user(SignedIn(token, found))
    g.person = found


def renew(*, second_factor: bool = False) -> None:
    """Give the session a new token after the person has shown once more who they are, or has
    changed how they do that."""
    found = person()
    with transaction() as opened:
        token = sign_ins.renew(opened, found.sign_in_id, now(), second_factor=second_factor)
        renewed = sign_ins.find(opened, token, now())
    assert renewed is not None  # noqa: S101  # it was there a moment ago
    login_user(SignedIn(token, renewed))
    g.person = renewed


def begin_half(user_id: str, next_path: str) -> None:
    """Remember who has shown their password, until they show the one-time code. Nothing else of the
    visitor's cookie stays."""
    session.clear()
    half = {"user_id": user_id, "at": now().isoformat(), "next": next_path}
    session[HALF] = {**half, "password": _password_mark(user_id)}


def half_signed_in() -> HalfSignedIn | None:
    """Who has shown their password in the last 10 minutes, which is still theirs, and has to show a
    code yet."""
    half = session.get(HALF)
    if half is None or datetime.fromisoformat(half["at"]) + HALF_LASTS <= now():
        return None
    if half.get("password") != _password_mark(half["user_id"]):
        return None
    return HalfSignedIn(half["user_id"], half["next"])


def _password_mark(user_id: str) -> str | None:
    with transaction() as opened:
        return credentials.password_mark(opened, user_id)


def end() -> None:
    """End the request's session."""
    if found := signed_in_person():
        with transaction() as opened:
            sign_ins.end(opened, found.user_id, found.sign_in_id)
    session.clear()
    g.person = None
