"""What the walks over all routes of the console call them with."""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from flask import Flask
from sqlalchemy import select, update

from app.extensions import transaction
from app.models import Actor, ActorKind, ApiKey, Invitation, Organization, User
from app.services import staff_log
from app.services.accounts import identity
from app.services.staff.plan_values import form_of
from app.services.staff.plans import state
from app.services.staff_log import Acting
from tests.blocks import block, new_network
from tests.clock import NOON
from tests.conftest import Account
from tests.people import new_email
from tests.plans import add_plan
from tests.team import add_invitation


class Sample(NamedTuple):
    """What the rule's path needs, and what its form needs beside the reason."""

    ids: dict[str, str]
    fields: dict[str, str]


Maker = Callable[[Flask, Account], Sample]


def a_block(app: Flask, _account: Account) -> Sample:
    return Sample({"block_id": block(app, new_network()).id}, {})


def a_network(_app: Flask, _account: Account) -> Sample:
    return Sample({}, {"value": new_network(), "days": "7"})


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


def with_fields(**fields: str) -> Maker:
    """A form about an organization."""
    return lambda _app, account: Sample({"org_id": account.org_id}, fields)


def changed(**columns: object) -> Maker:
    """A form about an organization with these values."""

    def make(app: Flask, account: Account) -> Sample:
        with app.app_context(), transaction(account.org_id) as session:
            session.change(
                update(Organization).where(Organization.id == account.org_id).values(**columns)
            )
        return Sample({"org_id": account.org_id}, {})

    return make


def of_a_key(app: Flask, account: Account) -> Sample:
    with app.app_context(), transaction() as session:
        key = session.scalars(select(ApiKey.id).where(ApiKey.org_id == account.org_id)).first()
    return Sample({"org_id": account.org_id}, {"key": str(key)})


def of_its_name(app: Flask, account: Account) -> Sample:
    with app.app_context(), transaction() as session:
        name = session.get_one(Organization, account.org_id).name
    return Sample({"org_id": account.org_id}, {"typed": name})


def a_person(_app: Flask, account: Account) -> Sample:
    return Sample({"user_id": _owner_of(_app, account)}, {})


def somebody_unconfirmed(app: Flask, account: Account) -> Sample:
    with app.app_context(), transaction() as session:
        email = new_email()
        user_id = identity.create_user(session, email, NOON)
    return Sample({"user_id": str(user_id)}, {})


def somebody_with_an_app(app: Flask, account: Account) -> Sample:
    sample = a_person(app, account)
    with app.app_context(), transaction() as session:
        this = update(User).where(User.id == sample.ids["user_id"])
        session.change(this.values(totp_secret="JBSWY3DPEHPK3PXP"))
    return sample


def somebody_for_a_role(app: Flask, account: Account) -> Sample:
    return Sample(a_person(app, account).ids, {"role": "support"})


def somebody_invited(app: Flask, account: Account) -> Sample:
    invitation_id = add_invitation(app, account)
    with app.app_context(), transaction(account.org_id) as session:
        long_sent = update(Invitation).where(Invitation.id == invitation_id)
        session.change(long_sent.values(expires_at=NOON + timedelta(days=1)))
    ids = {**a_person(app, account).ids, "org_id": account.org_id, "invitation_id": invitation_id}
    return Sample(ids, {})


def an_entry(app: Flask, account: Account) -> Sample:
    with app.app_context(), transaction() as session:
        who = Acting(Actor(ActorKind.STAFF, "user_somebody"), "somebody@example.com", "a reason")
        entry = staff_log.record(session, who, "thing.changed", NOON, org_id=account.org_id)
        return Sample({"number": str(entry.number)}, {})


def _owner_of(app: Flask, account: Account) -> str:
    with app.app_context(), transaction() as session:
        return session.scalars(select(User.id).where(User.email == account.email)).one()


SAMPLES: dict[str, Maker] = {
    "admin.blocks.add": a_network,
    "admin.blocks.end": a_block,
    "admin.audit.show_one": an_entry,
    "admin.users.show": a_person,
    "admin.user_actions.confirm": somebody_unconfirmed,
    "admin.user_actions.reset_second_factor": somebody_with_an_app,
    "admin.user_actions.resend_confirmation": somebody_unconfirmed,
    "admin.user_actions.send_password_link": a_person,
    "admin.user_actions.resend_invitation": somebody_invited,
    "admin.user_actions.end_sessions": a_person,
    "admin.user_actions.unlock": a_person,
    "admin.user_actions.set_staff_role": somebody_for_a_role,
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
    "admin.organization_actions.grant": with_fields(plan="TEAM"),
    "admin.organization_actions.raise_limits": with_fields(file_mb="1000"),
    "admin.organization_actions.correct": with_fields(way="correction", images="5", once="a"),
    "admin.organization_actions.suspend": with_fields(told="You send spam."),
    "admin.organization_actions.restore": changed(suspended_at=NOON, suspended_reason="Spam."),
    "admin.organization_actions.revoke_key": of_a_key,
    "admin.organization_actions.revoke_keys": an_organization,
    "admin.organization_actions.flag": with_fields(flag="Look into it."),
    "admin.organization_actions.unflag": changed(flag="Look into it."),
    "admin.organization_actions.delete": of_its_name,
    "admin.organization_actions.keep": changed(delete_at=NOON + timedelta(days=7)),
}
"""Endpoint → how to make what it is about, of an account. A route with ids in its path, or with a
form that asks for more than a reason, is here; its call must change something."""
