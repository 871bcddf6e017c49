"""What the walks over all routes of the console call them with."""

from collections.abc import Callable
from typing import NamedTuple

from flask import Flask

from app.extensions import transaction
from app.models import Actor, ActorKind
from app.services import staff_log
from app.services.staff_log import Acting
from app.web.context import now
from tests.admin.people import give_factors, make_invitation, make_mail, make_person
from tests.conftest import Account


class Sample(NamedTuple):
    """What the rule's path needs, and what its form needs beside the reason."""

    ids: dict[str, str]
    fields: dict[str, str]


Maker = Callable[[Flask, Account], Sample]


def a_person(app: Flask, _account: Account) -> Sample:
    """Who waits to be confirmed."""
    return Sample({"user_id": make_person(app, confirmed_at=None).user_id}, {})


def someone_with_factors(app: Flask, _account: Account) -> Sample:
    person = make_person(app)
    give_factors(app, person.user_id)
    return Sample({"user_id": person.user_id}, {})


def someone_to_be_staff(app: Flask, _account: Account) -> Sample:
    return Sample({"user_id": make_person(app).user_id}, {"role": "support"})


def a_mail_that_waits(app: Flask, _account: Account) -> Sample:
    person = make_person(app)
    return Sample({"user_id": person.user_id, "mail_id": make_mail(app, person.email)}, {})


def an_invitation(app: Flask, account: Account) -> Sample:
    invitation_id = make_invitation(app, account, make_person(app).email)
    return Sample({"org_id": account.org_id, "invitation_id": invitation_id}, {})


def an_entry(app: Flask, _account: Account) -> Sample:
    who = Acting(Actor(ActorKind.SYSTEM, "test"), "test", "a sample")
    with app.app_context(), transaction() as session:
        entry = staff_log.record(session, who, "thing.changed", now())
        return Sample({"number": str(entry.number)}, {})


SAMPLES: dict[str, Maker] = {
    "admin.users.show": a_person,
    "admin.user_actions.confirm": a_person,
    "admin.user_actions.reset_second_factor": someone_with_factors,
    "admin.user_actions.end_sessions": a_person,
    "admin.user_actions.release_throttle": a_person,
    "admin.user_actions.send_confirmation_again": a_person,
    "admin.user_actions.send_reset": a_person,
    "admin.user_actions.try_mail": a_mail_that_waits,
    "admin.user_actions.resend_invitation": an_invitation,
    "admin.user_actions.set_staff_role": someone_to_be_staff,
    "admin.audit.entry": an_entry,
}
"""Endpoint → how to make what it is about, of an account. A route with ids in its path, or with a
form that asks for more than a reason, is here; its call must change something."""
