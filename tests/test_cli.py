"""Commands for operators."""

import re
from collections.abc import Callable
from dataclasses import replace
from email.headerregistry import Address
from uuid import uuid4

import pytest
import requests
from argon2 import PasswordHasher
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from app.adapters.mail import SmtpMailer
from app.adapters.storage.s3 import S3Storage
from app.extensions import transaction
from app.models import StaffEntry, User
from app.settings_types import MailServer
from tests.actors import system
from tests.adapters.mail_server import running_mail_server
from tests.billing import BillingEnv
from tests.client import ApiClient, bearer
from tests.clock import Clock
from tests.conftest import AccountMaker
from tests.databases import on_both_databases
from tests.people import mails_to, new_email, user_with
from tests.s3 import REGION, S3Server


@pytest.fixture
def run(app: Flask) -> Callable[..., Result]:
    def invoke(*arguments: str) -> Result:
        return app.test_cli_runner().invoke(args=arguments)

    return invoke


@on_both_databases
def test_a_key_is_printed_alone_and_works(run: Callable[..., Result], client: ApiClient) -> None:
    assert run("users", "create", "Operator@Example.com").exit_code == 0
    assert run("orgs", "set-plan", "operator@example.com", "team").exit_code == 0
    for mode, prefix in (("live", "ak_live_"), ("test", "test_")):
        printed = run("keys", "create", "operator@example.com", "--mode", mode).stdout
        assert re.fullmatch(rf"{prefix}[0-9A-Za-z]{{38}}\n", printed)
        assert client.get("/usage", headers=bearer(printed.strip())).json["plan"] == "TEAM"


def test_scopes_are_those_asked_for(run: Callable[..., Result], client: ApiClient) -> None:
    run("users", "create", "scoped@example.com")
    key = run("keys", "create", "scoped@example.com", "--scopes", "read").stdout.strip()
    assert client.get("/usage", headers=bearer(key)).status_code == 200
    assert client.post("/billing/portal", headers=bearer(key)).status_code == 403
    refused = run("keys", "create", "scoped@example.com", "--scopes", "read,admin")
    assert refused.exit_code == 2
    assert "unknown scope admin" in refused.stderr


def test_staff_and_passwords(app: Flask, run: Callable[..., Result]) -> None:
    assert (
        run(
            "users", "create", "boss@example.com", "--password", "correct horse", "--staff"
        ).exit_code
        == 0
    )
    with app.app_context(), transaction() as session:
        user = session.scalars(select(User).where(User.email == "boss@example.com")).one()
    assert user.staff_role == "support"
    assert user.password_hash
    assert PasswordHasher().verify(user.password_hash, "correct horse")


@on_both_databases
def test_the_role_of_an_existing_user_is_set(app: Flask, run: Callable[..., Result]) -> None:
    """Each change is in the staff's log, as the operator's."""
    email = f"{uuid4().hex}@example.com"
    assert run("users", "create", email).exit_code == 0
    user = user_with(app, email)
    for role in ("support", "admin", "none"):
        if role == "none":
            assert run("users", "create", new_email(), "--staff", "--role", "admin").exit_code == 0
        assert run("users", "set-role", email, role).exit_code == 0
        assert user_with(app, email).staff_role == (None if role == "none" else role)
        assert len(mails_to(app, email)) == 1 + ("support", "admin", "none").index(role)
    with app.app_context(), transaction() as session:
        about = select(StaffEntry).where(StaffEntry.subject == user.id)
        entries = session.scalars(about.order_by(StaffEntry.number)).all()
    assert [entry.after for entry in entries] == [
        {"role": "support"}, {"role": "admin"}, {"role": "none"},
    ]  # fmt: skip
    assert {(entry.user_id, entry.email) for entry in entries} == {("operator", "operator")}
    again = run("users", "set-role", email, "none")
    assert again.exit_code == 1
    assert "has this role already" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("users", "create", "nobody"), "not valid"),
        (("users", "set-role", "missing@example.com", "admin"), "no account"),
        (("users", "create", "twice@example.com"), "already exists"),
        (("orgs", "set-plan", "missing@example.com", "TEAM"), "no account"),
        (("orgs", "set-plan", "twice@example.com", "GOLD"), "There is no plan GOLD. Plans: FREE"),
        (("orgs", "allow-host", "twice@example.com", "127.0.0.1"), "not the name of a host"),
        (("orgs", "allow-host", "twice@example.com", "localhost"), "not the name of a host"),
        (("keys", "create", "missing@example.com"), "no account"),
    ],
)
def test_refusals_are_a_sentence(
    run: Callable[..., Result], arguments: tuple[str, ...], message: str
) -> None:
    run("users", "create", "twice@example.com")
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert message in refused.stderr
    assert "Traceback" not in refused.output


def test_sweep_says_what_it_did(
    app: Flask, run: Callable[..., Result], file_time: None, clock: Clock
) -> None:
    """And when it runs once more, that there is nothing left."""
    abandoned = app.extensions["lightwell"].settings.spool_dir / "abandoned"
    abandoned.mkdir(parents=True)
    clock.advance(hours=2)
    assert re.search(r"^work folders: \d+$", run("sweep").stdout, re.MULTILINE)
    while (said := run("sweep").stdout) != "Nothing to do.\n":
        assert re.fullmatch(r"([a-z ]+: [1-9]\d*\n)+", said)


def test_a_granted_plan_holds_beside_what_is_paid(
    run: Callable[..., Result], billing_env: BillingEnv, make_account: AccountMaker
) -> None:
    payer = make_account(plan="FREE")
    billing_env.stripe.subscriptions.create(billing_env.customer(payer), ["price_team_month"])
    billing_env.catch_up()
    said = [run("orgs", "set-plan", payer.email, plan).stdout for plan in ("business", "FREE")]
    assert said == [f"{payer.org_id} is on the {plan} plan.\n" for plan in ("BUSINESS", "TEAM")]
    granted = [entry for entry in billing_env.audit(payer) if entry.action == "plan.granted"]
    assert [(entry.actor, entry.after["plan"]) for entry in granted] == [
        (system("operator"), "BUSINESS"),
        (system("operator"), "TEAM"),
    ]


def test_a_flag_is_taken_off(
    run: Callable[..., Result], billing_env: BillingEnv, make_account: AccountMaker
) -> None:
    disputer = make_account(plan="FREE")
    customer = billing_env.customer(disputer)
    billing_env.stripe.subscriptions.create(customer, ["price_team_month"])
    (charge,) = billing_env.stripe.journal.all("charge", customer)
    billing_env.stripe.invoices.dispute(charge["id"])
    billing_env.catch_up()
    reason = f"The charge {charge['id']} is disputed."
    assert billing_env.organization(disputer).flag == reason
    said = [run("orgs", "unflag", disputer.email).stdout for _ in range(2)]
    assert said == [
        f"{disputer.org_id} is not flagged any more: {reason}\n",
        f"{disputer.org_id} was not flagged.\n",
    ]
    assert billing_env.organization(disputer).flag is None
    flagged, unflagged = (
        entry for entry in billing_env.audit(disputer) if entry.action == "organization.flagged"
    )
    assert (flagged.actor, flagged.after) == (system("stripe"), {"flag": reason})
    assert (unflagged.actor, unflagged.before, unflagged.after) == (
        system("operator"),
        {"flag": reason},
        {"flag": None},
    )


def test_events_that_wait_are_listed_with_the_reason(
    run: Callable[..., Result], billing_env: BillingEnv, make_account: AccountMaker
) -> None:
    customer = billing_env.customer(make_account(plan="FREE"))
    billing_env.catch_up()

    def of_the_customer() -> list[str]:
        *lines, total = run("billing", "events").stdout.splitlines()
        assert total == f"Events that wait: {len(lines)}."
        return [line for line in lines if customer in line]

    subscription = billing_env.stripe.subscriptions.create(customer, ["price_images_metered"])["id"]
    created = next(
        one for one in billing_env.new_events if one["type"] == "customer.subscription.created"
    )
    billing_env.deliver([created])
    (line,) = of_the_customer()
    assert line.startswith(f"{created['id']} customer.subscription.created {customer} received 20")
    assert line.endswith(": not tried yet")
    billing_env.work()
    (line,) = of_the_customer()
    assert line.endswith(
        f": {subscription} pays price_images_metered, which STRIPE_PRICES does not name"
    )
    billing_env.stripe.subscriptions.cancel(subscription)
    billing_env.catch_up()
    assert of_the_customer() == []


def test_an_operator_tries_the_mail_server(
    app: Flask, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = run("mail", "test", "ada@example.com")
    assert (refused.exit_code, "set SMTP_URL" in refused.stderr) == (1, True)
    with running_mail_server() as server:
        where = MailServer("127.0.0.1", server.port, "", "", False)
        mailer = SmtpMailer(where, Address(addr_spec="mail@example.com"))
        container = replace(app.extensions["lightwell"], mailer=mailer)
        monkeypatch.setitem(app.extensions, "lightwell", container)
        assert run("mail", "test", "Ada@Example.com").stdout == "Sent to ada@example.com.\n"
        assert [mail["Subject"] for mail in server.mails] == ["A test of Lightwell's mail"]
        server.rcpt = "550 no such mailbox"
        refused = run("mail", "test", "ada@example.com")
        assert "The mail was not sent: 550 no such mailbox" in refused.stderr


def test_browsers_may_upload_to_the_bucket_from_our_pages(
    run: Callable[..., Result],
    app: Flask,
    s3_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only from there; a folder needs no rule."""
    refused = run("storage", "cors")
    assert (refused.exit_code, "no rule" in refused.stderr) == (1, True)
    storage = S3Storage(s3_server.bucket, s3_server.endpoint, REGION)
    bucket = replace(app.extensions["lightwell"], storage=storage)
    monkeypatch.setitem(app.extensions, "lightwell", bucket)
    site = app.extensions["lightwell"].settings.site
    assert run("storage", "cors").stdout == f"Pages of {site} may upload to lightwell.\n"
    for origin, allowed in ((site, True), ("https://elsewhere.example", False)):
        asked = requests.options(
            f"{s3_server.endpoint}/{s3_server.bucket}/key",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": "content-type",
            },
            timeout=10,
        )
        assert (asked.headers.get("Access-Control-Allow-Origin") == origin) is allowed
    s3_server.client.delete_bucket_cors(Bucket=s3_server.bucket)
