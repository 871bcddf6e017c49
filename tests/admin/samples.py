"""What the walks over all routes of the console call them with."""

from collections.abc import Callable
from typing import NamedTuple

from flask import Flask

from app.extensions import transaction
from app.models import AnnouncementKind
from app.services import announcements
from app.services.announcements import Wanted
from tests.clock import NOON
from tests.conftest import Account


class Sample(NamedTuple):
    """What the rule's path needs, and what its form needs beside the reason."""

    ids: dict[str, str]
    fields: dict[str, str]


Maker = Callable[[Flask, Account], Sample]


SOON = "2030-01-01T00:00"
"""Walks announce what does not begin while they last."""


def an_organization(_app: Flask, account: Account) -> Sample:
    return Sample({"org_id": account.org_id}, {})


def a_text(_app: Flask, _account: Account) -> Sample:
    return Sample({}, {"text": "Something new", "starts": SOON})


def an_announcement(app: Flask, account: Account) -> Sample:
    wanted = Wanted(AnnouncementKind.BANNER, "Something new", org_id=account.org_id)
    with app.app_context(), transaction() as session:
        made = announcements.make(session, wanted, "user_of_ours", NOON)
    return Sample({"announcement_id": made.id}, {})


SAMPLES: dict[str, Maker] = {
    "admin.viewing.begin": an_organization,
    "admin.announcements.make": a_text,
    "admin.announcements.begin_maintenance": a_text,
    "admin.announcements.end": an_announcement,
    "admin.organization.show": an_organization,
    "admin.organization.show_members": an_organization,
    "admin.organization.show_keys": an_organization,
    "admin.organization.show_usage": an_organization,
    "admin.organization.show_ledger": an_organization,
    "admin.organization.show_requests": an_organization,
    "admin.organization.show_images": an_organization,
    "admin.organization.show_exports": an_organization,
    "admin.organization.show_stripe": an_organization,
    "admin.organization.show_audit": an_organization,
}
"""Endpoint → how to make what it is about, of an account. A route with ids in its path, or with a
form that asks for more than a reason, is here; its call must change something."""
