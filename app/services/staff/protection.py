"""Whose account staff may act on: a customer's; that of staff only as an admin; never their own."""

from app.errors import Forbidden, RoleTooLow
from app.models import StaffRole, User
from app.services.accounts import factors
from app.services.staff import people
from app.tenancy import TenantSession


def person_to_change(session: TenantSession, by: str, role: StaffRole | None, user_id: str) -> User:
    """The person whose account somebody of staff with the id ``by`` and a role wants to change.
    Other changes of the account wait. Raises NotFound, Forbidden, RoleTooLow."""
    people.get(session, user_id)
    user = factors.locked(session, user_id)
    if user_id == by:
        raise Forbidden("This is your own account. Change it on your account's pages.")
    if user.staff_role is not None and role is not StaffRole.ADMIN:
        raise RoleTooLow(f"Your role is {role}. Only an admin acts on the accounts of staff.")
    return user
