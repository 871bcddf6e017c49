"""What each role of our own people may do: the one table that the console's views ask."""

from enum import StrEnum

from app.models import StaffRole


class Duty(StrEnum):
    """Something that staff do. The value says it in words."""

    LOOK = "look at everything"
    VIEW_AS = "see an organization's pages as its members do, without changing anything"
    RESEND = "send mails again"
    UNLOCK = "confirm an e-mail address, reset a second factor, take a throttle off"
    UNFLAG = "take a flag off"
    GRANT = "grant a plan, raise a limit, correct usage"
    MEND_BILLING = "replay the payment provider's events, take over what it says"
    SEE_MONEY = "see reports"
    SUSPEND = "suspend and restore an organization"
    REVOKE = "revoke keys"
    BLOCK = "block addresses, networks and mail domains"
    ANNOUNCE = "announce something, begin and end maintenance"
    RUN_JOBS = "retry, drop and start jobs"
    EDIT_PLANS = "change plans and make new ones"
    DELETE = "delete an organization"
    MANAGE_STAFF = "say who is staff, and in which role"


LOWEST_ROLES = {
    Duty.LOOK: StaffRole.SUPPORT,
    Duty.VIEW_AS: StaffRole.SUPPORT,
    Duty.RESEND: StaffRole.SUPPORT,
    Duty.UNLOCK: StaffRole.SUPPORT,
    Duty.UNFLAG: StaffRole.BILLING,
    Duty.GRANT: StaffRole.BILLING,
    Duty.MEND_BILLING: StaffRole.BILLING,
    Duty.SEE_MONEY: StaffRole.BILLING,
    Duty.SUSPEND: StaffRole.ADMIN,
    Duty.REVOKE: StaffRole.ADMIN,
    Duty.BLOCK: StaffRole.ADMIN,
    Duty.ANNOUNCE: StaffRole.ADMIN,
    Duty.RUN_JOBS: StaffRole.ADMIN,
    Duty.EDIT_PLANS: StaffRole.ADMIN,
    Duty.DELETE: StaffRole.ADMIN,
    Duty.MANAGE_STAFF: StaffRole.ADMIN,
}
"""The lowest role that may do each; higher roles may too."""


def may(role: StaffRole, duty: Duty) -> bool:
    return role.includes(LOWEST_ROLES[duty])
