"""Challenges for passkeys: bound to the session cookie of one browser, and good once."""

import secrets
from datetime import datetime, timedelta

from flask import session
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from app.errors import BadRequest
from app.web.context import container, now

COOKIE_KEY = "challenge"
VALID = timedelta(minutes=5)
BYTES = 32
USED = "lightwell:used-challenge"


def new() -> bytes:
    """A challenge for this browser, which replaces the one before it."""
    challenge = secrets.token_bytes(BYTES)
    session[COOKIE_KEY] = {"text": bytes_to_base64url(challenge), "at": now().isoformat()}
    return challenge


def take() -> bytes:
    """This browser's challenge, once: a copy of the cookie does not bring it back, because Redis
    remembers it. Raises BadRequest."""
    asked = session.pop(COOKIE_KEY, None)
    if asked is None or datetime.fromisoformat(asked["at"]) + VALID <= now():
        raise BadRequest("This took too long. Try again.")
    if not container().redis.set(f"{USED}:{asked['text']}", 1, nx=True, ex=VALID):
        raise BadRequest("This answer was sent already. Try again.")
    return base64url_to_bytes(str(asked["text"]))
