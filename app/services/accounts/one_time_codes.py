"""One-time codes of an authenticator app (TOTP, RFC 6238), and recovery codes, which replace them
when the app is lost."""

import base64
import re
import secrets
from datetime import datetime

import pyotp
from sqlalchemy import delete, func, select, update

from app.errors import BadRequest, Conflict
from app.models import RecoveryCode, User
from app.services import mail
from app.services.accounts import factors, sign_ins
from app.services.accounts.keys import digest
from app.tenancy import TenantSession

ISSUER = "Lightwell"
LONGEST_CODE = 40
"""Characters of a typed code, with the spaces and hyphens that people leave in."""
RECOVERY_CODES = 10
RECOVERY_BYTES = 10
"""80 random bits, which are 16 characters in base32."""
DIGITS = re.compile(r"[0-9]{6}")
WRONG = "The code is wrong, or was used already. Wait for the app's next one and try again."
WRONG_RECOVERY_CODE = "The recovery code is wrong, or was used already. Try another one."


def new_secret() -> str:
    """A secret for an authenticator app, in base32."""
    return pyotp.random_base32()


def provisioning_uri(secret: str, email: str) -> str:
    """What an authenticator app reads from a QR code:
    github.com/google/google-authenticator/wiki/Key-Uri-Format."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


def turn_on(
    session: TenantSession, user_id: str, secret: str, code: str, site: str, now: datetime
) -> list[str]:
    """Ask for a code at each sign-in with a password from now on. ``code`` shows that the app has
    the secret. All sessions end. Returns recovery codes, to be shown once. Raises BadRequest,
    Conflict."""
    user = factors.locked(session, user_id)
    if user.totp_secret is not None:
        raise Conflict("An authenticator app is on already. Turn it off before you add another.")
    if not _take(session, user, secret, _plain(code), now):
        raise _wrong(WRONG)
    session.change(update(User).where(User.id == user_id).values(totp_secret=secret))
    codes = _replace_recovery_codes(session, user_id)
    sign_ins.end_all(session, user_id)
    factors.tell(session, user, "An authenticator app was turned on", site, now)
    return codes


def turn_off(session: TenantSession, user_id: str, site: str, now: datetime) -> None:
    """Ask for no code any more. The recovery codes go, and all sessions end. Does nothing if it is
    off."""
    user = factors.locked(session, user_id)
    if user.totp_secret is None:
        return
    session.change(update(User).where(User.id == user_id).values(totp_secret=None))
    session.change(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    sign_ins.end_all(session, user_id)
    factors.tell(session, user, "The authenticator app was turned off", site, now)


def new_recovery_codes(session: TenantSession, user_id: str, site: str, now: datetime) -> list[str]:
    """Replace the recovery codes, and return the new ones, to be shown once. Raises Conflict."""
    user = factors.locked(session, user_id)
    if user.totp_secret is None:
        raise Conflict("Recovery codes belong to an authenticator app. Turn one on first.")
    codes = _replace_recovery_codes(session, user_id)
    factors.tell(session, user, "New recovery codes were made", site, now)
    return codes


def recovery_codes_left(session: TenantSession, user_id: str) -> int:
    left = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == user_id)
    return session.scalar(left) or 0


def check(session: TenantSession, user_id: str, code: str, site: str, now: datetime) -> None:
    """Take a code of the app or a recovery code; each is good once, also for parallel requests.
    Raises BadRequest."""
    user, plain = session.get(User, user_id), _plain(code)
    if user is None or user.totp_secret is None:
        raise _wrong(WRONG)
    if DIGITS.fullmatch(plain):
        if not _take(session, user, user.totp_secret, plain, now):
            raise _wrong(WRONG)
    elif not _take_recovery_code(session, user, plain, site, now):
        raise _wrong(WRONG_RECOVERY_CODE)


def _wrong(sentence: str) -> BadRequest:
    return BadRequest(sentence, errors=[f"code: {sentence}"])


def _plain(code: str) -> str:
    """The code without the spaces and hyphens that apps show."""
    return re.sub(r"[\s-]", "", code[:LONGEST_CODE]).lower()


def _take(session: TenantSession, user: User, secret: str, code: str, now: datetime) -> bool:
    """Whether the code is the present one, or that of the step of 30 seconds before or after,
    because clocks differ. Its step must be later than that of the last code."""
    if not DIGITS.fullmatch(code):
        return False
    codes = pyotp.TOTP(secret)
    present = codes.timecode(now)
    fitting = [
        step
        for step in (present - 1, present, present + 1)
        if secrets.compare_digest(codes.generate_otp(step), code)
    ]
    return any(
        session.change(
            update(User)
            .where(User.id == user.id, User.totp_last_step < step)
            .values(totp_last_step=step)
        )
        for step in fitting
    )


def _take_recovery_code(
    session: TenantSession, user: User, code: str, site: str, now: datetime
) -> bool:
    used = delete(RecoveryCode).where(
        RecoveryCode.user_id == user.id, RecoveryCode.digest == digest(code)
    )
    if not session.change(used):
        return False
    mail.queue(
        session,
        user.email,
        "recovery-code-used",
        now,
        left=recovery_codes_left(session, user.id),
        email=user.email,
        security=f"{site}/account/security",
    )
    return True


def _replace_recovery_codes(session: TenantSession, user_id: str) -> list[str]:
    session.change(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    plain = [
        base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower()
        for _ in range(RECOVERY_CODES)
    ]
    session.add_all(RecoveryCode(user_id=user_id, digest=digest(code)) for code in plain)
    session.flush()
    return ["-".join(re.findall("....", code)) for code in plain]
