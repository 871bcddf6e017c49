"""What is left of a deleted organization, and of the others."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count as count_from
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.adapters.storage.interface import Storage
from app.errors import DependencyDown
from app.extensions import transaction
from app.models import (
    ActorKind,
    Asset,
    AuditEntry,
    BillingAccount,
    Collection,
    Mode,
    Organization,
    Role,
    StripeEvent,
    User,
    new_id,
)
from app.services.deletion import erasure, rows
from app.services.inventory import OBJECT_REFERENCES
from app.web.context import Container
from tests.billing import BillingEnv
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, SignIn
from tests.databases import on_both_databases
from tests.rows import count, fill, models_of_organizations

pytestmark = pytest.mark.usefixtures("context")
WEEK = timedelta(days=7)
KEPT = {"audit_entries"}


@dataclass
class Case:
    """The deletions of an application."""

    container: Container
    clock: Clock

    def plan(self, account: Account) -> None:
        with transaction() as session:
            planned = update(Organization).where(Organization.id == account.org_id)
            session.change(planned.values(delete_at=self.clock() + WEEK))
        self.clock.advance(days=8)

    def run(self) -> int:
        container = self.container
        return erasure.delete_due(container.storage, container.provider, self.clock())

    def row(self, account: Account) -> Organization:
        with transaction() as session:
            return session.get_one(Organization, account.org_id)

    def objects(self, account: Account) -> set[str]:
        pages = self.container.storage.pages()
        return {one.key for page in pages for one in page if account.org_id in one.key}

    def audit(self, account: Account) -> list[AuditEntry]:
        with transaction(account.org_id) as session:
            return list(session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


@pytest.fixture
def case(app: Flask, clock: Clock) -> Case:
    """What other tests have left to delete is none of these."""
    with app.app_context(), transaction() as session:
        session.change(update(Organization).values(delete_at=None))
    return Case(app.extensions["lightwell"], clock)


@pytest.fixture
def full(app: Flask, clock: Clock, sign_in: SignIn) -> Iterator[Callable[..., str]]:
    """Fill an organization: rows in every table, folders in folders, objects under every prefix.
    Returns the id of a member."""
    storage: Storage = app.extensions["lightwell"].storage
    filled: list[str] = []

    def make(account: Account) -> str:
        filled.append(account.org_id)
        user_id = sign_in(account, Role.OWNER).user_id
        fill(account.org_id, user_id)
        for mode in Mode:
            with transaction(account.org_id, mode) as session:
                (parent,) = session.scalars(select(Collection)).all()
                ids = [new_id("col", clock()) for _ in range(3)]
                for child, above in zip(ids, (parent.id, *ids), strict=False):
                    made = {"created_at": clock(), "updated_at": clock()}
                    session.add(
                        Collection(id=child, name=child, parent_id=above, place=child, **made)
                    )
                    session.flush()
                session.change(update(Asset).values(collection_id=ids[-1]))
        for prefix in erasure.PREFIXES:
            storage.put(f"{prefix}/{account.org_id}/2026/a", [b"x"])
        with transaction() as session:
            seen = update(User).where(User.id == user_id)
            session.change(seen.values(last_org_id=account.org_id))
        return user_id

    yield make
    for org_id in filled:
        rows.remove_owned_rows(org_id)


@on_both_databases
def test_nothing_is_left_but_an_empty_row(
    case: Case, acme: Account, globex: Account, full: Callable[..., str]
) -> None:
    member = full(acme)
    full(globex)
    tables = {model.__tablename__ for model in models_of_organizations()}
    assert set(count(acme.org_id)) == tables
    others = count(globex.org_id), case.objects(globex)
    case.plan(acme)
    assert case.run() == 1
    assert count(acme.org_id) == Counter({"audit_entries": 1})
    assert case.objects(acme) == set()
    row = case.row(acme)
    assert (row.name, row.slug, row.delete_at) == ("Deleted organization", None, None)
    assert row.deleted_at is not None
    assert (row.plan_code, row.granted_plan_code) == ("FREE", None)
    (last,) = case.audit(acme)
    assert (last.action, last.actor_kind) == ("organization.deleted", ActorKind.SYSTEM)
    with transaction() as session:
        assert session.get_one(User, member).last_org_id is None
    assert (count(globex.org_id), case.objects(globex)) == others
    assert case.row(globex).slug == globex.slug
    assert case.run() == 0


def test_what_is_not_due_stays(case: Case, acme: Account, globex: Account) -> None:
    with transaction() as session:
        planned = update(Organization).where(Organization.id == acme.org_id)
        session.change(planned.values(delete_at=case.clock() + WEEK))
    before = count(acme.org_id)
    with transaction() as session:
        assert not erasure.has_due(session, case.clock())
    assert case.run() == 0
    assert count(acme.org_id) == before
    case.clock.advance(days=7)
    with transaction() as session:
        assert erasure.has_due(session, case.clock())
    assert case.run() == 1


class Killed(Exception):
    pass


@pytest.mark.parametrize("place", ["members", "rows", "objects", "end"])
def test_a_deletion_that_was_killed_goes_on(
    case: Case,
    acme: Account,
    full: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """Killed after the members are gone, between two tables, between pages of objects, and before
    the last entry."""
    full(acme)
    case.plan(acme)
    remove_batch, batches = rows._remove_batch, count_from(1)
    storage = type(case.container.storage)
    delete = storage.delete

    def some_batches(*arguments: Any) -> int:
        if next(batches) > 20:
            raise Killed
        return remove_batch(*arguments)

    def one_page(own: Storage, keys: Iterable[str]) -> None:
        delete(own, keys)
        raise Killed

    def killed(*_: object) -> None:
        raise Killed

    killing = {
        "members": (erasure, "_end_billing", killed),
        "rows": (rows, "_remove_batch", some_batches),
        "objects": (storage, "delete", one_page),
        "end": (erasure, "_finish", killed),
    }
    monkeypatch.setattr(*killing[place])
    with pytest.raises(Killed):
        case.run()
    assert case.row(acme).delete_at is not None
    monkeypatch.undo()
    assert case.run() == 1
    assert count(acme.org_id) == Counter({"audit_entries": 1})
    assert case.objects(acme) == set()


@on_both_databases
def test_many_rows_go_in_batches(
    case: Case, acme: Account, full: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BATCH_SIZE", 1)
    full(acme)
    case.plan(acme)
    assert case.run() == 1
    assert set(count(acme.org_id)) == KEPT


def test_every_object_is_under_a_prefix_that_is_removed() -> None:
    assert {reference.prefix for reference in OBJECT_REFERENCES} < set(erasure.PREFIXES)


def test_the_subscription_is_cancelled_and_its_ids_stay(
    case: Case, app: Flask, billing_env: BillingEnv, make_account: AccountMaker
) -> None:
    acme = make_account(plan="FREE")
    customer = billing_env.customer(acme)
    made = billing_env.stripe.subscriptions.create(customer, ["price_team_month"])
    billing_env.catch_up()
    assert any(payloads(customer))
    case.container = app.extensions["lightwell"]
    case.plan(acme)
    assert case.run() == 1
    assert not any(payloads(customer))
    assert billing_env.stripe.subscriptions.find(made["id"])["status"] == "canceled"
    assert set(count(acme.org_id)) == KEPT
    kept = {entry.action: entry for entry in case.audit(acme)}
    assert set(kept) == {"subscription.changed", "billing.ended", "organization.deleted"}
    ended = kept["billing.ended"].after
    assert (ended["customer"], ended["subscriptions"]) == (customer, [made["id"]])
    assert [one[:3] for one in ended["invoices"]] == ["in_"]
    assert not any(entry.address for entry in kept.values())
    billing_env.catch_up()
    assert set(count(acme.org_id)) == KEPT
    assert not any(payloads(customer))  # nor what came after it


def payloads(customer: str) -> list[object]:
    with transaction() as session:
        found = select(StripeEvent.payload).where(StripeEvent.subject == customer)
        return list(session.scalars(found))


def test_nothing_more_is_removed_while_payments_are_down(
    case: Case,
    app: Flask,
    billing_env: BillingEnv,
    make_account: AccountMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its turn comes again a little later."""
    acme = make_account(plan="FREE")
    billing_env.customer(acme)
    case.container = app.extensions["lightwell"]
    case.plan(acme)
    payments = type(billing_env.provider.payments)

    def down(*_: object) -> None:
        raise DependencyDown("The payment provider does not answer.")

    monkeypatch.setattr(payments, "subscriptions_of", down)
    assert case.run() == 0
    with transaction(acme.org_id) as session:
        assert session.scalar(select(BillingAccount.org_id)) == acme.org_id
    assert case.run() == 0
    monkeypatch.undo()
    assert case.run() == 0
    case.clock.advance(minutes=6)
    assert case.run() == 1
    assert set(count(acme.org_id)) == KEPT
