"""What the walks over all routes of the console call them with."""

from collections.abc import Callable
from typing import NamedTuple

from flask import Flask

from app.extensions import transaction
from app.services.staff.plan_values import form_of
from app.services.staff.plans import state
from tests.conftest import Account
from tests.plans import add_plan


class Sample(NamedTuple):
    """What the rule's path needs, and what its form needs beside the reason."""

    ids: dict[str, str]
    fields: dict[str, str]


Maker = Callable[[Flask, Account], Sample]


def an_organization(_app: Flask, account: Account) -> Sample:
    return Sample({"org_id": account.org_id}, {})


def a_plan(app: Flask, _account: Account) -> Sample:
    """One that nobody is on; the fields change it."""
    with app.app_context(), transaction() as session:
        plan = add_plan(session)
        fields = form_of(state(plan)) | {"monthly_images": "77", "version": "0"}
        return Sample({"code": plan.code}, fields)


def a_new_plan(app: Flask, account: Account) -> Sample:
    with app.app_context(), transaction() as session:
        template = add_plan(session)
        fields = form_of(state(template)) | {"template": template.code, "above": template.code}
    return Sample({}, fields | {"code": f"{template.code}_2", "org_id": account.org_id})


SAMPLES: dict[str, Maker] = {
    "admin.plans.show": a_plan,
    "admin.plans.edit": a_plan,
    "admin.plans.change": a_plan,
    "admin.plans.download": a_plan,
    "admin.plans.make": a_new_plan,
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
