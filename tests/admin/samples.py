"""What the walks over all routes of the console call them with."""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple
from uuid import uuid4

from flask import Flask
from sqlalchemy import select, update

from app.extensions import transaction
from app.models import (
    Actor,
    ActorKind,
    AnnouncementKind,
    ApiKey,
    Export,
    ExportStatus,
    Organization,
    StripeEvent,
    new_id,
)
from app.services import announcements, staff_log
from app.services.announcements import Wanted
from app.services.billing.reconciliation import BillingDifference
from app.services.staff import reconcile
from app.services.staff.plan_values import form_of
from app.services.staff.plans import state
from app.services.staff_log import Acting
from app.web.context import now
from tests.admin.people import give_factors, make_invitation, make_mail, make_person
from tests.blocks import block, new_network
from tests.clock import NOON
from tests.conftest import Account
from tests.plans import add_plan
from tests.rq_jobs import fail_job


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


def a_failed_job(app: Flask, _account: Account) -> Sample:
    return Sample({"job_id": fail_job(app.extensions["lightwell"].redis)}, {})


def a_lost_export(app: Flask, account: Account) -> Sample:
    """Its worker's lease is over."""
    export_id = new_id("exp", NOON)
    with app.app_context(), transaction(account.org_id, "live") as session:
        session.add(
            Export(
                id=export_id,
                actor_kind=ActorKind.SYSTEM,
                actor_id="a test",
                status=ExportStatus.RUNNING,
                config={},
                asset_ids=[],
                total=1,
                lease_until=NOON - timedelta(minutes=1),
                created_at=NOON - timedelta(minutes=2),
            )
        )
    return Sample({"org_id": account.org_id, "kind": "live", "export_id": export_id}, {})


def a_difference(app: Flask, account: Account) -> Sample:
    """In the report of a comparison, of an organization that has no customer."""
    mine = BillingDifference(account.org_id, None, "plan in force is TEAM, should be FREE")
    found = reconcile.Report(NOON, NOON, 1, (mine,), None, frozenset())
    reconcile.keep(app.extensions["lightwell"].redis, found)
    return Sample({}, {"org_id": account.org_id})


def an_event(app: Flask, _account: Account) -> Sample:
    """To replay it takes a payment provider, as all of the comparison does."""
    event_id = f"evt_{uuid4().hex}"
    moments = {"created_at": NOON, "received_at": NOON, "handled_at": NOON}
    with app.app_context(), transaction() as session:
        session.add(StripeEvent(id=event_id, type="invoice.paid", subject="cus_none", **moments))
    return Sample({"event_id": event_id}, {})


SOON = "2030-01-01T00:00"


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
    "admin.stripe.show": an_event,
    "admin.stripe.replay": an_event,
    "admin.reconcile.mend": a_difference,
    "admin.jobs.show": a_failed_job,
    "admin.jobs.retry": a_failed_job,
    "admin.jobs.drop": a_failed_job,
    "admin.jobs.requeue": a_lost_export,
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
    "admin.blocks.add": a_network,
    "admin.blocks.end": a_block,
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
