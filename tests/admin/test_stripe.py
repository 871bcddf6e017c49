"""Stripe's events as staff read and replay them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from app.extensions import transaction
from app.models import StaffRole, StripeEvent
from app.services.billing.prices import Prices
from app.services.staff import stripe_inbox
from tests.admin.conftest import StaffMaker
from tests.billing import BillingEnv, open_billing_env
from tests.client import ApiClient
from tests.clock import Clock
from tests.conftest import AccountMaker
from tests.databases import on_both_databases
from tests.staff import act, log_of


def add_event(app: Flask, clock: Clock, number: int = 0, **values: object) -> str:
    event_id = f"evt_{uuid4().hex}"
    received = clock() + timedelta(seconds=number)
    columns = {"type": "invoice.paid", "created_at": received, "received_at": received, **values}
    with app.app_context(), transaction() as session:
        session.add(StripeEvent(id=event_id, **columns))
    return event_id


def test_a_replayed_event_is_handled_again(
    billing_env: BillingEnv, make_account: AccountMaker, make_staff: StaffMaker
) -> None:
    account, staff = make_account(plan="FREE"), make_staff(StaffRole.BILLING)
    billing_env.stripe.subscriptions.create(billing_env.customer(account), ["price_team_month"])
    events = billing_env.new_events
    billing_env.deliver(events)
    billing_env.work()
    event_id = next(one["id"] for one in events if one["type"] == "customer.subscription.created")
    page = staff.get(f"/admin/stripe/{event_id}").text
    assert account.org_id in page
    assert "&#34;type&#34;: &#34;customer.subscription.created&#34;" in page
    assert "Replay" in page
    assert act(staff, f"/admin/stripe/{event_id}/replay").status_code == 303
    [entry] = log_of(billing_env.app, staff)
    assert (entry.action, entry.org_id) == ("stripe_event.replayed", account.org_id)
    assert entry.before["outcome"] == "applied"
    assert "Waiting" in staff.get(f"/admin/stripe/{event_id}").text
    billing_env.work()
    assert "Waiting" not in staff.get(f"/admin/stripe/{event_id}").text
    assert billing_env.plan(account) == "TEAM"


def test_what_is_ignored_has_no_replay(
    billing_env: BillingEnv, staff: ApiClient, clock: Clock
) -> None:
    event_id = add_event(billing_env.app, clock, handled_at=clock(), outcome="ignored")
    assert "Replay" not in staff.get(f"/admin/stripe/{event_id}").text
    assert act(staff, f"/admin/stripe/{event_id}/replay").status_code == 409
    assert log_of(billing_env.app, staff) == []


def test_pages_of_one_customer_have_each_event_once(
    app: Flask, staff: ApiClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_inbox, "PAGE", 2)
    subject = f"cus_{uuid4().hex}"
    ids = [add_event(app, clock, number // 2, subject=subject) for number in range(5)]
    seen: list[str] = []
    path: str | None = f"/admin/stripe?subject={subject}"
    while path:
        answer = staff.get(path)
        seen += [one for one in ids if f"/admin/stripe/{one}" in answer.text]
        found = answer.text.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
        path = (
            f"/admin/stripe{found}".replace("&amp;", "&") if 'rel="next"' in answer.text else None
        )
    assert sorted(seen) == sorted(ids)


@on_both_databases
def test_events_are_narrowed(app: Flask, staff: ApiClient, clock: Clock) -> None:
    subject, kind = f"cus_{uuid4().hex}", "charge.dispute.created"
    done: dict[str, Any] = {"handled_at": clock(), "subject": subject}
    ids = {
        "waiting": add_event(app, clock, subject=subject, type=kind),
        "failed": add_event(app, clock, subject=subject, attempts=2, outcome="Boom"),
        "handled": add_event(app, clock, outcome="applied", **done),
        "ignored": add_event(app, clock, outcome="ignored", **done),
        "other": add_event(app, clock, subject=subject.replace("_", "x"), type=kind),
    }

    def found(query: str) -> set[str]:
        page = staff.get(f"/admin/stripe?subject={subject[:-3]}&{query}").text
        return {name for name, one in ids.items() if f"/admin/stripe/{one}" in page}

    assert found("") == found("state=else&type=else") == set(ids) - {"other"}
    assert found("state=waiting") == {"waiting", "failed"}
    for state in ("failed", "handled", "ignored"):
        assert found(f"state={state}") == {state}
    assert found(f"type={kind}") == {"waiting"}
    assert found(f"type={kind}&state=handled") == set()


def test_prices_that_nobody_named_are_listed(
    app: Flask, make_account: AccountMaker, staff: ApiClient, clock: Clock
) -> None:
    with open_billing_env(app, clock) as env:
        account = make_account(plan="FREE")
        env.stripe.subscriptions.create(env.customer(account), ["price_team_month"])
    with open_billing_env(app, clock, prices=Prices((), ())) as unnamed:
        unnamed.deliver(env.new_events)
        changed = replace(unnamed.provider, payments=env.provider.payments)
        replace(unnamed, provider=changed).work()
    page = staff.get("/admin/stripe").text.split("Prices that nobody named", 1)[1]
    assert "<code>price_team_month</code>" in page.split("<form", 1)[0]
    assert str(env.billing(account).customer_id) in page.split("<form", 1)[0]


def test_without_payments_the_page_says_so(app: Flask, staff: ApiClient, clock: Clock) -> None:
    event_id = add_event(app, clock, subject="cus_1")
    assert "not configured" in staff.get("/admin/stripe").text
    assert act(staff, f"/admin/stripe/{event_id}/replay").status_code == 501


def test_support_does_not_replay(app: Flask, make_staff: StaffMaker, clock: Clock) -> None:
    support = make_staff(StaffRole.SUPPORT)
    event_id = add_event(app, clock, subject="cus_1")
    assert act(support, f"/admin/stripe/{event_id}/replay").status_code == 403
    assert support.get("/admin/stripe/evt_none").status_code == 404
