"""What the worker runs, called as it calls it."""

from dataclasses import replace
from email.headerregistry import Address
from pathlib import Path

import pytest
from flask import Flask
from rq import Queue
from sqlalchemy import delete, update

from app.adapters.mail import SmtpMailer
from app.adapters.queue import DEFAULT
from app.extensions import transaction
from app.jobs import billing, compare_storage, mails, resume_mails, sweep
from app.models import BillingAccount, Mail
from app.services.accounts import keys
from app.services.billing.prices import Prices
from app.services.usage import reservations
from app.settings_types import MailServer, PlanPrice
from app.tenancy import unscoped
from tests.adapters.mail_server import running_mail_server
from tests.billing import ACCOUNT, METERED, BillingEnv, open_billing_env
from tests.clock import Clock
from tests.conftest import Account, AccountMaker

pytestmark = pytest.mark.usefixtures("as_the_worker")


@pytest.fixture
def as_the_worker(app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Jobs make an application of their own from the environment; here it is that of the test."""
    monkeypatch.setenv("APP_ENV", "development")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setattr("app.jobs.create_app", lambda _settings: app)


def test_the_job_does_what_the_events_ask_for(
    billing_env: BillingEnv, make_account: AccountMaker
) -> None:
    account = make_account(plan="FREE")
    billing_env.stripe.subscriptions.create(billing_env.customer(account), ["price_team_month"])
    billing_env.deliver(billing_env.new_events)
    billing()
    assert billing_env.plan(account) == "TEAM"


def test_the_sweep_reports_usage_and_asks_about_what_was_not_heard(
    app: Flask, make_account: AccountMaker, clock: Clock
) -> None:
    account = make_account(plan="FREE")
    prices = Prices(ACCOUNT.stripe_prices, (PlanPrice("TEAM", "month", METERED),))
    with open_billing_env(app, clock, prices=prices, meter="images") as billing_env:
        subscription = billing_env.stripe.subscriptions.create(
            billing_env.customer(account), ["price_team_month", METERED]
        )["id"]
        billing_env.catch_up()
        with app.app_context(), transaction(account.org_id) as session:
            principal = keys.authenticate(account.key, clock())
            reserved = reservations.reserve(session, principal, "test", 3, clock())
            reservations.settle(session, reserved, 3)
        sweep()
        assert [event["payload"]["value"] for event in billing_env.stripe.meter.all()] == ["3"]
        billing_env.stripe.subscriptions.cancel(subscription)
        with app.app_context(), transaction() as session, unscoped(session, "other tests' checks"):
            others = BillingAccount.org_id != account.org_id
            session.change(update(BillingAccount).where(others).values(check_at=None))
        clock.advance(days=32)
        sweep()
        assert billing_env.plan(account) == "FREE"


def test_jobs_do_without_a_provider_or_a_mail_server(app: Flask) -> None:
    billing()
    mails()
    sweep()
    resume_mails(app)


def test_mails_that_are_due_are_enqueued_once_and_sent(
    app: Flask, make_account: AccountMaker, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever caused them: registering did here."""
    container = app.extensions["lightwell"]
    queue = Queue(DEFAULT, connection=container.redis)
    queue.empty()
    with running_mail_server() as server, app.app_context():
        where = MailServer("127.0.0.1", server.port, "", "", False)
        sender = Address(addr_spec="mail@example.com")
        mailer = SmtpMailer(where, sender)
        monkeypatch.setitem(app.extensions, "lightwell", replace(container, mailer=mailer))
        with transaction() as session:
            session.change(delete(Mail))
        resume_mails(app)
        assert queue.job_ids == []
        account = make_account()
        for _ in range(2):
            resume_mails(app)
        assert [job.func_name for job in queue.jobs] == ["app.jobs.mails"]
        queue.empty()
        mails()
        assert server.recipients == [account.email]
        resume_mails(app)
        assert queue.job_ids == []


def test_the_comparison_of_storage_logs_what_it_finds(
    app: Flask, acme: Account, file_time: None, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    app.extensions["lightwell"].storage.put(f"orgs/{acme.org_id}/stray", [b"x"])
    clock.advance(hours=2)
    compare_storage()
    assert f"orgs/{acme.org_id}/stray" in caplog.text
