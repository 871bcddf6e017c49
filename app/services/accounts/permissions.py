"""What each role may do in an organization: the one table that pages and services ask."""

from enum import StrEnum

from app.models import Role


class Action(StrEnum):
    """Something that a member of an organization does. The value says it in words, for the docs."""

    VIEW = "see the library, usage and exports"
    CHANGE_IMAGES = "upload, change, export and delete images; make presets and collections"
    EMPTY_TRASH = "delete images in the trash for good"
    MANAGE_OWN_TEST_KEYS = "make, rotate and revoke test keys of one's own"
    MANAGE_KEYS = "make, rotate and revoke all keys, live ones too"
    MANAGE_HOSTS = "choose the hosts that images may be fetched from"
    MANAGE_TEAM = "invite and remove people, and change roles up to admin"
    SEE_ACTIVITY = "see the audit log"
    MANAGE_BILLING = "buy, change and cancel the plan"
    SET_CAPS = "set spend caps"
    EXPORT_DATA = "export everything that the organization has"
    RENAME = "change the organization's name and settings"
    TRANSFER = "make other people owners"
    DELETE = "delete the organization"


LOWEST_ROLES = {
    Action.VIEW: Role.VIEWER,
    Action.CHANGE_IMAGES: Role.MEMBER,
    Action.EMPTY_TRASH: Role.ADMIN,
    Action.MANAGE_OWN_TEST_KEYS: Role.MEMBER,
    Action.MANAGE_KEYS: Role.ADMIN,
    Action.MANAGE_HOSTS: Role.ADMIN,
    Action.MANAGE_TEAM: Role.ADMIN,
    Action.SEE_ACTIVITY: Role.ADMIN,
    Action.MANAGE_BILLING: Role.OWNER,
    Action.SET_CAPS: Role.OWNER,
    Action.EXPORT_DATA: Role.OWNER,
    Action.RENAME: Role.OWNER,
    Action.TRANSFER: Role.OWNER,
    Action.DELETE: Role.OWNER,
}
"""The lowest role that may do each action; higher roles may too."""


def may(role: Role, action: Action) -> bool:
    return role.includes(LOWEST_ROLES[action])


def added_by(role: Role) -> list[Action]:
    """What this role may do and the next lower one may not."""
    return [action for action, lowest in LOWEST_ROLES.items() if lowest is role]
