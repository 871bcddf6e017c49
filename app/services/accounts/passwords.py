"""Passwords: which ones are taken, and how they are stored.

They are compared in the normal form NFKC (NIST SP 800-63B §5.1.1.2), because keyboards differ in
how they write the same character.
"""

import secrets
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from app.errors import BadRequest

SHORTEST = 10
LONGEST = 200
COMMONEST = 10_000
SHORTEST_NAME = 4
"""A shorter local part of an address may stand in a password: many words hold it by chance."""
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""Argon2id with 19 MiB: the OWASP Password Storage Cheat Sheet."""


def hashed(password: str, email: str) -> str:
    """The Argon2id hash of a new password of the account with this address. Raises BadRequest for
    one that is too short, too long, too common, or holds the address."""
    normal = _normal(password)
    if problem := _problem_of(normal, email):
        raise BadRequest(f"The password {problem}", errors=[f"password: {problem}"])
    return HASHER.hash(normal)


def is_right(password: str, password_hash: str | None) -> bool:
    """Whether the password belongs to the hash. Without a hash it is wrong, after the same time."""
    try:
        HASHER.verify(password_hash or _nobodys_hash(HASHER), _normal(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def rehashed(password: str, password_hash: str) -> str:
    """The hash to store for a right password: a new one if the parameters have changed."""
    if HASHER.check_needs_rehash(password_hash):
        return HASHER.hash(_normal(password))
    return password_hash


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password)


def _problem_of(password: str, email: str) -> str | None:
    if len(password) < SHORTEST:
        return f"is too short: use at least {SHORTEST} characters."
    if len(password) > LONGEST:
        return f"is too long: use at most {LONGEST} characters."
    if password.lower() in _commonest():
        return "is among those that everybody tries first. Choose another one."
    local = email.partition("@")[0]
    if email in password.lower() or (len(local) >= SHORTEST_NAME and local in password.lower()):
        return "holds your e-mail address. Choose one that nobody can guess from it."
    return None


@cache
def _commonest() -> frozenset[str]:
    return frozenset(FREQUENCY_LISTS["passwords"][:COMMONEST])


@cache
def _nobodys_hash(hasher: PasswordHasher) -> str:
    return hasher.hash(secrets.token_urlsafe())
