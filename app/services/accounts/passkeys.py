"""Passkeys (WebAuthn): a device recognises its owner and signs a challenge of ours.

So a passkey proves two things at once, the device and a fingerprint, face or PIN, and is enough to
sign in. References are to w3.org/TR/webauthn-3.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlsplit

import structlog
import webauthn
from sqlalchemy import delete, select, update
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from app.errors import BadRequest, Conflict, NotFound
from app.models import Passkey, User
from app.services.accounts import factors, sign_ins
from app.services.filenames import UNNAMED, without_controls
from app.tenancy import TenantSession, insert_if_absent

log = structlog.get_logger()

MOST_PASSKEYS = 20
LONGEST_NAME = 64
LONGEST_ANSWER = 16 * 1024
"""Characters of a browser's answer; the longest part, a credential's id, has at most 1364."""
CREDENTIAL_ID = re.compile(r"[A-Za-z0-9_-]+")
VERIFIED = UserVerificationRequirement.REQUIRED
NOT_ADDED = "The passkey could not be added. Try again, or use another device."
UNKNOWN = "This passkey is not known here. Use another one, or sign in with your password."


@dataclass(frozen=True)
class RelyingParty:
    """Whom browsers make passkeys for (§4): the host, and the origin of the pages that may ask."""

    id: str
    origin: str

    @classmethod
    def of(cls, site: str) -> Self:
        """From the address of the site, never from a request, whose Host header anybody can set."""
        parts = urlsplit(site)
        return cls(parts.hostname or "", f"{parts.scheme}://{parts.netloc}")


def list_of(session: TenantSession, user_id: str) -> list[Passkey]:
    """The passkeys of a user, the oldest first."""
    own = select(Passkey).where(Passkey.user_id == user_id)
    return list(session.scalars(own.order_by(Passkey.created_at, Passkey.id)))


def creation_options(
    session: TenantSession, user_id: str, party: RelyingParty, challenge: bytes
) -> str:
    """What the browser is asked when a passkey is added, in JSON. Devices refuse to make a second
    passkey for the user. Raises Conflict if there are too many."""
    known = list_of(session, user_id)
    _refuse_too_many(len(known))
    user = session.get_one(User, user_id)
    options = webauthn.generate_registration_options(
        rp_id=party.id,
        rp_name="Lightwell",
        user_id=user_id.encode(),
        user_name=user.email,
        user_display_name=user.display_name,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=VERIFIED
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(id=base64url_to_bytes(passkey.id)) for passkey in known
        ],
    )
    return webauthn.options_to_json(options)


def request_options(party: RelyingParty, challenge: bytes) -> str:
    """What the browser is asked when somebody signs in, in JSON: any passkey of this site, so that
    nobody has to type an address."""
    return webauthn.options_to_json(
        webauthn.generate_authentication_options(
            rp_id=party.id, challenge=challenge, user_verification=VERIFIED
        )
    )


def add(
    session: TenantSession,
    user_id: str,
    answer: str,
    name: str,
    challenge: bytes,
    party: RelyingParty,
    now: datetime,
) -> Passkey:
    """Keep the passkey that a browser made for ``challenge``. Raises BadRequest, Conflict."""
    made = _verified_creation(answer, challenge, party)
    user = factors.locked(session, user_id)
    _refuse_too_many(len(list_of(session, user_id)))
    passkey_id = bytes_to_base64url(made.credential_id)
    is_new = insert_if_absent(
        session,
        Passkey,
        id=passkey_id,
        user_id=user_id,
        name=_name(name),
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        created_at=now,
    )
    if not is_new:
        raise Conflict("This passkey was added already.")
    passkey = session.get_one(Passkey, passkey_id)
    factors.tell(session, user, f"The passkey “{passkey.name}” was added", party.origin, now)
    return passkey


def authenticate(
    session: TenantSession,
    answer: str,
    challenge: bytes,
    party: RelyingParty,
    now: datetime,
    *,
    user_id: str | None = None,
) -> str:
    """The id of the user whose passkey signed the challenge. With ``user_id`` only that user's
    passkeys count. Raises BadRequest."""
    passkey_id = str(_parsed(answer, UNKNOWN).get("id"))
    passkey = session.get(Passkey, passkey_id) if CREDENTIAL_ID.fullmatch(passkey_id) else None
    if passkey is None or (user_id is not None and passkey.user_id != user_id):
        raise BadRequest(UNKNOWN)
    signed = _verified_request(answer, challenge, party, passkey.public_key)
    count = signed.new_sign_count
    # A device that counts must have counted on, or else its key was copied (§6.1.1).
    is_next = Passkey.sign_count < count if count else Passkey.sign_count == 0
    counted = update(Passkey).where(Passkey.id == passkey.id, is_next)
    if not session.change(counted.values(sign_count=count, last_used_at=now)):
        log.warning(
            "passkeys.sign_count_went_back",
            user_id=passkey.user_id,
            passkey_id=passkey.id,
            count=count,
            last_count=passkey.sign_count,
        )
        raise BadRequest(UNKNOWN)
    return passkey.user_id


def rename(session: TenantSession, user_id: str, passkey_id: str, name: str) -> None:
    """Raises NotFound."""
    own = update(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id)
    if not session.change(own.values(name=_name(name))):
        raise NotFound("There is no such passkey.")


def remove(session: TenantSession, user_id: str, passkey_id: str, site: str, now: datetime) -> None:
    """Remove a passkey, and end all sessions. The last one of a person without a password stays,
    because it is the only way in. Raises NotFound, Conflict."""
    user = factors.locked(session, user_id)
    own = {passkey.id: passkey.name for passkey in list_of(session, user_id)}
    if passkey_id not in own:
        raise NotFound("There is no such passkey.")
    if user.password_hash is None and len(own) == 1:
        raise Conflict("This passkey is your only way to sign in. Set a password first.")
    session.change(delete(Passkey).where(Passkey.id == passkey_id))
    sign_ins.end_all(session, user_id)
    factors.tell(session, user, f"The passkey “{own[passkey_id]}” was removed", site, now)


def remove_password(session: TenantSession, user_id: str, site: str, now: datetime) -> None:
    """Let a person sign in with passkeys only, and end all sessions. Does nothing if there is no
    password. Raises Conflict if there is no passkey either."""
    user = factors.locked(session, user_id)
    if user.password_hash is None:
        return
    if not list_of(session, user_id):
        raise Conflict("Your password is your only way to sign in. Add a passkey first.")
    session.change(update(User).where(User.id == user_id).values(password_hash=None))
    sign_ins.end_all(session, user_id)
    factors.tell(session, user, "The password was removed", site, now)


def _refuse_too_many(passkeys: int) -> None:
    if passkeys >= MOST_PASSKEYS:
        raise Conflict(f"You have {MOST_PASSKEYS} passkeys, which is the most. Remove one first.")


def _name(name: str) -> str:
    return without_controls(name)[:LONGEST_NAME].strip() or UNNAMED


def _parsed(answer: str, problem: str) -> dict[str, Any]:
    """A browser's answer as it came. Raises BadRequest with ``problem``."""
    try:
        parsed = json.loads(answer) if len(answer) <= LONGEST_ANSWER else None
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise BadRequest(problem)
    return parsed


def _verified_creation(answer: str, challenge: bytes, party: RelyingParty) -> VerifiedRegistration:
    parsed = _parsed(answer, NOT_ADDED)
    try:
        return webauthn.verify_registration_response(
            credential=parsed,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except Exception as error:  # the library lets through what its parsers raise
        log.info("passkeys.refused", reason=repr(error))
        raise BadRequest(NOT_ADDED) from None


def _verified_request(
    answer: str, challenge: bytes, party: RelyingParty, public_key: bytes
) -> VerifiedAuthentication:
    try:
        return webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=0,  # compared in the UPDATE
            require_user_verification=True,
        )
    except Exception as error:  # the library lets through what its parsers raise
        log.info("passkeys.refused", reason=repr(error))
        raise BadRequest(UNKNOWN) from None
