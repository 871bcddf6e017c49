"""How a person can sign in, all at once."""

from dataclasses import dataclass

from app.models import Passkey, User
from app.services.accounts import one_time_codes, passkeys
from app.tenancy import TenantSession


@dataclass(frozen=True)
class Security:
    """What an account has: a password, an authenticator app, recovery codes, passkeys."""

    has_password: bool
    has_app: bool
    recovery_codes_left: int
    passkeys: list[Passkey]

    @property
    def has_second_factor(self) -> bool:
        return self.has_app or bool(self.passkeys)


def of(session: TenantSession, user_id: str) -> Security:
    user = session.get_one(User, user_id)
    return Security(
        has_password=user.password_hash is not None,
        has_app=user.totp_secret is not None,
        recovery_codes_left=one_time_codes.recovery_codes_left(session, user_id),
        passkeys=passkeys.list_of(session, user_id),
    )
