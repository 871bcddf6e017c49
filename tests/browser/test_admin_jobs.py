"""Jobs, Stripe's events and the comparison, in a browser: each page, and what staff do there."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect
from redis import Redis
from rq import Queue

from app.adapters.queue import DEFAULT, FAILURE_KEPT_SECONDS
from dev.environment import read_services
from tests.browser.audit import audit
from tests.browser.door import sign_in_as_staff
from tests.conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

REASON = "Ticket 4711"
PATIENCE = 90_000
"""Milliseconds that a job may take on a busy machine."""
MOMENT = "2026-01-30 12:00:00.000000"


@pytest.fixture
def connection(service: Service) -> Iterator[Redis]:
    with Redis.from_url(read_services(service.data_dir)["REDIS_URL"]) as connection:
        yield connection


def write(service: Service, statement: str, *values: object) -> None:
    path = service.data_dir / "lightwell.sqlite3"
    with closing(sqlite3.connect(path, timeout=60)) as rows, rows:
        assert rows.execute(statement, values).rowcount == 1


def fail_a_job(connection: Redis) -> str:
    """One that calls what does not exist."""
    job = Queue(DEFAULT, connection=connection).enqueue(
        "app.jobs.nothing", job_id=f"nothing-{uuid4().hex}", failure_ttl=FAILURE_KEPT_SECONDS
    )
    return job.id


def add_event(service: Service, **values: object) -> str:
    """An event that waits, and is not due within this century. Returns its id."""
    row = {
        "id": f"evt_{uuid4().hex}",
        "type": "customer.subscription.updated",
        "subject": f"cus_{uuid4().hex}",
        "created_at": MOMENT,
        "received_at": MOMENT,
        "next_attempt_at": "2090-01-01 00:00:00.000000",
        "attempts": 3,
        **values,
    }
    marks = ", ".join("?" * len(row))
    statement = f"INSERT INTO stripe_events ({', '.join(row)}) VALUES ({marks})"
    write(service, statement, *row.values())
    return str(row["id"])


def shown_after_reloads(tab: Page, wanted: Locator) -> None:
    """What a worker does is seen when the page is loaded again."""
    for _ in range(PATIENCE // 2000):
        tab.reload()
        with suppress(AssertionError):
            expect(wanted).to_be_visible(timeout=2000)
            return
    expect(wanted).to_be_visible()


def do(tab: Page, link: str, button: str) -> None:
    """Open a dialog and send it with a reason."""
    tab.get_by_role("link", name=link, exact=True).click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(REASON)
    dialog.get_by_role("button", name=button, exact=True).click()


def test_failed_jobs_are_retried_and_dropped(
    tab: Page, service: Service, connection: Redis
) -> None:
    sign_in_as_staff(tab, service)
    job_id = fail_a_job(connection)
    tab.goto("/admin/jobs")
    shown_after_reloads(tab, tab.get_by_role("link", name=job_id))
    audit(tab, "/admin/jobs")
    tab.get_by_role("link", name=job_id).click()
    expect(tab.get_by_role("region", name="Traceback")).to_contain_text(
        "Invalid attribute name: nothing"
    )
    audit(tab, tab.url)
    do(tab, "Retry", "Retry")
    expect(tab.get_by_text("The job is in its queue again.")).to_be_visible()
    shown_after_reloads(tab, tab.get_by_role("link", name=job_id))  # it has failed again
    tab.get_by_role("link", name=job_id).click()
    do(tab, "Drop", "Drop")
    expect(tab.get_by_text("The job is dropped.")).to_be_visible()
    expect(tab.get_by_role("link", name=job_id)).to_have_count(0)


def test_all_jobs_at_once_and_a_sweep(tab: Page, service: Service, connection: Redis) -> None:
    sign_in_as_staff(tab, service)
    job_id = fail_a_job(connection)
    tab.goto("/admin/jobs")
    shown_after_reloads(tab, tab.get_by_role("link", name=job_id))
    do(tab, "Retry all", "Retry all")
    expect(tab.get_by_text("Jobs in their queues again: ")).to_be_visible()
    shown_after_reloads(tab, tab.get_by_role("link", name=job_id))
    audit(tab, "/admin/jobs?confirm=drop-all")
    tab.goto("/admin/jobs")
    do(tab, "Drop all", "Drop all")
    expect(tab.get_by_text("Jobs dropped: ")).to_be_visible()
    expect(tab.get_by_text("No job failed")).to_be_visible()
    do(tab, "Sweep now", "Sweep now")
    expect(tab.get_by_text("A sweep is in the queue.")).to_be_visible()
    shown_after_reloads(tab, tab.get_by_role("row", name="sweep").get_by_text("removed"))


def test_an_event_is_found_and_replayed(tab: Page, service: Service) -> None:
    sign_in_as_staff(tab, service)
    payload = {"id": "evt_1", "data": {"object": {"customer": "cus_1", "note": "long " * 90}}}
    event_id = add_event(
        service,
        outcome="sub_1 pays price_unheard, which STRIPE_PRICES does not name",
        payload=json.dumps(payload),
    )
    tab.goto("/admin/stripe")
    unnamed = tab.get_by_role("region", name="Prices that nobody named").first
    expect(unnamed).to_contain_text("price_unheard")
    audit(tab, "/admin/stripe")
    tab.get_by_label("State").select_option("Failed, waiting")
    tab.get_by_label("Type").select_option("customer.subscription.updated")
    tab.get_by_label("Customer or charge").fill("cus_")
    tab.get_by_role("button", name="Filter").click()
    link = tab.locator(f"a[href='/admin/stripe/{event_id}']").last
    expect(link).to_be_visible()
    audit(tab, tab.url)
    link.click()
    expect(tab.get_by_role("region", name="The event")).to_contain_text('"customer": "cus_1"')
    audit(tab, tab.url)
    audit(tab, f"/admin/stripe/{event_id}?confirm=replay")
    tab.goto(f"/admin/stripe/{event_id}")
    do(tab, "Retry now", "Retry now")
    expect(tab.get_by_text("The event is handled again, in a moment.")).to_be_visible()
    shown_after_reloads(tab, tab.get_by_text("not a customer of ours"))
    expect(tab.get_by_text("It is not kept:")).to_be_visible()


def test_a_difference_is_found_and_mended(tab: Page, service: Service) -> None:
    sign_in_as_staff(tab, service)
    email = f"differs-{uuid4().hex}@example.com"
    service.flask("users", "create", email, "--password", "a lamp on the roof")
    tab.goto("/admin/organizations?q=differs-")
    org_id = tab.get_by_role("rowheader").locator("code").first.inner_text()
    plan = "UPDATE organizations SET plan_code = 'TEAM' WHERE id = ?"
    write(service, plan, org_id)
    tab.goto("/admin/stripe")
    tab.get_by_role("link", name="Compare with Stripe").click()
    audit(tab, "/admin/stripe/reconcile")
    do(tab, "Compare now", "Compare")
    expect(tab.get_by_text("The comparison is in the queue.")).to_be_visible()
    row = tab.get_by_role("row").filter(has_text=org_id)
    shown_after_reloads(tab, row)
    expect(row).to_contain_text("plan in force is TEAM, should be FREE")
    audit(tab, "/admin/stripe/reconcile")
    audit(tab, f"/admin/stripe/reconcile?confirm=mend-{org_id}")
    tab.goto("/admin/stripe/reconcile")
    row.get_by_role("link", name="Mend").click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(REASON)
    dialog.get_by_role("button", name="Mend").click()
    expect(tab.get_by_text("Mended: put on its granted plan.")).to_be_visible()
    expect(row).to_contain_text("Mended")
