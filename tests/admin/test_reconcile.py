"""The comparison with Stripe, as staff ask for it, and what they take over from it."""

from types import SimpleNamespace

import pytest
from flask import Flask
from redis import Redis
from rq import Queue
from sqlalchemy import func, update

from app import jobs
from app.adapters.payments.interface import Subscription
from app.adapters.payments.stripe import StripePayments
from app.adapters.queue import EXPORTS
from app.errors import DependencyDown
from app.extensions import transaction
from app.models import FREE, ActorKind, BillingAccount, Organization, StaffRole
from app.services.billing.prices import Prices
from app.services.staff import reconcile
from tests.admin.conftest import StaffMaker
from tests.billing import BillingEnv, open_billing_env
from tests.client import ApiClient
from tests.clock import Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases
from tests.services.billing.faults import forget_everybody
from tests.staff import act, log_of

HOME = "/admin/stripe/reconcile"


@pytest.fixture(autouse=True)
def alone(app: Flask) -> None:
    """Everybody is compared, so what is left of other tests goes."""
    with app.app_context():
        forget_everybody()
        with transaction() as session:
            unpaid = func.coalesce(Organization.granted_plan_code, FREE)
            session.change(update(Organization).values(plan_code=unpaid, metered=False))
    redis_of(app).delete(reconcile.GOING, reconcile.REPORT, reconcile.MENDED)
    Queue(EXPORTS, connection=redis_of(app)).empty()


def redis_of(app: Flask) -> Redis:
    connection: Redis = app.extensions["lightwell"].redis
    return connection


def compare(env: BillingEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the worker does with the job."""
    monkeypatch.setattr(jobs, "Settings", SimpleNamespace(from_env=lambda: None))
    monkeypatch.setattr(jobs, "create_app", lambda _: env.app)
    jobs.reconcile()


def unheard(env: BillingEnv, account: Account, price: str = "price_team_month") -> str:
    """A subscription of which no event came. Returns its customer."""
    customer = env.customer(account)
    env.stripe.subscriptions.create(customer, [price])
    return customer


@on_both_databases
def test_a_difference_is_found_and_mended(
    billing_env: BillingEnv,
    make_account: AccountMaker,
    make_staff: StaffMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account, staff = make_account(plan="FREE"), make_staff(StaffRole.BILLING)
    customer = unheard(billing_env, account)
    assert "No comparison within a day" in staff.get(HOME).text
    for _ in range(2):
        assert act(staff, HOME).status_code == 303
    queue = Queue(EXPORTS, connection=redis_of(billing_env.app))
    assert [job.func_name for job in queue.jobs] == ["app.jobs.reconcile"]
    assert "waits in the queue" in staff.get(HOME).text
    compare(billing_env, monkeypatch)
    page = staff.get(f"{HOME}?confirm=mend-{account.org_id}").text
    assert "waits in the queue" not in page
    assert "plan is None, should be TEAM" in page
    fields = {"org_id": account.org_id, "customer_id": customer}
    assert act(staff, f"{HOME}/mend", **fields).status_code == 303
    assert billing_env.plan(account) == "TEAM"
    assert ">Mended<" in staff.get(HOME).text
    entry = log_of(billing_env.app, staff)[-1]
    assert (entry.action, entry.org_id, entry.subject) == (
        "billing.mended",
        account.org_id,
        customer,
    )
    assert "should be TEAM" in entry.before["problem"]
    assert entry.after == {"problem": None, "outcome": "applied"}
    told = billing_env.audit(account)[-1]
    assert (told.action, told.actor_kind) == ("subscription.changed", ActorKind.STAFF)
    compare(billing_env, monkeypatch)
    assert "Nothing differs" in staff.get(HOME).text


def test_who_pays_nothing_is_put_on_the_granted_plan(
    billing_env: BillingEnv,
    make_account: AccountMaker,
    staff: ApiClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = make_account(plan="FREE")
    with billing_env.app.app_context(), transaction(account.org_id) as session:
        mine = update(Organization).where(Organization.id == account.org_id)
        session.change(mine.values(plan_code="TEAM"))
    compare(billing_env, monkeypatch)
    assert act(staff, f"{HOME}/mend", org_id=account.org_id).status_code == 303
    assert billing_env.plan(account) == "FREE"
    assert [one.action for one in log_of(billing_env.app, staff)] == ["billing.mended"]


def test_nothing_is_mended_without_a_difference_an_answer_or_a_reason(
    billing_env: BillingEnv,
    make_account: AccountMaker,
    make_staff: StaffMaker,
    staff: ApiClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account, other = make_account(plan="FREE"), make_account(plan="FREE")
    fields = {"org_id": account.org_id, "customer_id": unheard(billing_env, account)}
    path = f"{HOME}/mend"
    assert act(staff, path, **fields).status_code == 404
    compare(billing_env, monkeypatch)
    assert act(staff, path, **fields | {"org_id": other.org_id}).status_code == 404
    assert act(staff, path, **fields, reason="").status_code == 400
    assert act(make_staff(StaffRole.SUPPORT), path, **fields).status_code == 403
    with monkeypatch.context() as patch:
        patch.setattr(StripePayments, "subscriptions_of", down)
        assert act(staff, path, **fields).status_code == 503
    assert billing_env.plan(account) == "FREE"
    assert log_of(billing_env.app, staff) == []


def down(*_: object) -> list[Subscription]:
    raise DependencyDown("Stripe does not answer.")


def test_an_answer_that_is_old_is_not_applied(
    billing_env: BillingEnv,
    make_account: AccountMaker,
    staff: ApiClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An event is applied between the question and the entry."""
    account = make_account(plan="FREE")
    customer = unheard(billing_env, account)
    compare(billing_env, monkeypatch)
    ask = StripePayments.subscriptions_of

    def ask_late(self: StripePayments, customer_id: str) -> object:
        answer = ask(self, customer_id)
        with transaction(account.org_id) as session:
            session.change(update(BillingAccount).values(revision=BillingAccount.revision + 1))
        return answer

    monkeypatch.setattr(StripePayments, "subscriptions_of", ask_late)
    fields = {"org_id": account.org_id, "customer_id": customer}
    assert act(staff, f"{HOME}/mend", **fields).status_code == 409
    assert log_of(billing_env.app, staff) == []
    assert billing_env.plan(account) == "FREE"


def test_a_price_that_nobody_named_is_not_mended(
    app: Flask,
    clock: Clock,
    make_account: AccountMaker,
    staff: ApiClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open_billing_env(app, clock) as env:
        account = make_account(plan="FREE")
        customer = unheard(env, account)
    with open_billing_env(app, clock, payments=env.provider.payments, prices=Prices((), ())) as env:
        compare(env, monkeypatch)
        answer = act(staff, f"{HOME}/mend", org_id=account.org_id, customer_id=customer)
    assert answer.status_code == 409
    assert "STRIPE_PRICES" in answer.text


def test_a_comparison_that_fails_says_so_and_one_that_dies_is_forgotten(
    billing_env: BillingEnv, staff: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StripePayments, "subscriptions", down)
    with pytest.raises(DependencyDown):
        compare(billing_env, monkeypatch)
    page = staff.get(HOME).text
    assert "The comparison did not end" in page
    assert "Stripe does not answer." in page
    act(staff, HOME)
    assert 0 < redis_of(billing_env.app).ttl(reconcile.GOING) <= 3600
    assert 0 < redis_of(billing_env.app).ttl(reconcile.REPORT) <= 24 * 3600


def test_only_so_many_differences_are_kept_and_shown(
    billing_env: BillingEnv,
    make_account: AccountMaker,
    staff: ApiClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconcile, "MOST", 2)
    monkeypatch.setattr("app.admin.reconcile.PAGE", 1)
    for _ in range(3):
        unheard(billing_env, make_account(plan="FREE"))
    compare(billing_env, monkeypatch)
    found = reconcile.report(redis_of(billing_env.app))
    assert found
    assert (found.number, len(found.differences)) == (3, 2)
    for number, one in enumerate(found.differences):
        page = staff.get(f"{HOME}?page={number}").text
        assert [each.org_id for each in found.differences if str(each.org_id) in page] == [
            one.org_id
        ]
        assert ('rel="next"' in page) == (number == 0)


def test_without_payments_there_is_nothing_to_compare(app: Flask, staff: ApiClient) -> None:
    assert "nothing to compare with" in staff.get(HOME).text
    assert act(staff, HOME).status_code == 501
    assert log_of(app, staff) == []
