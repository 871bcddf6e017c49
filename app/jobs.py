"""The worker's jobs: entry points that take ids, open an application context and call a service."""

from collections.abc import Callable

from flask import Flask

from app.adapters.queue import queue_states
from app.adapters.queue_jobs import trim_failed
from app.config import Settings
from app.extensions import transaction
from app.factory import create_app
from app.services import inventory, job_runs, metrics, outbox, request_log
from app.services.billing import inbox, metering, plans, subscriptions
from app.services.deletion import erasure
from app.services.exports import data_export_worker, data_exports, export_jobs, export_worker
from app.services.staff import reconcile as staff_reconcile
from app.services.sweep import sweep as sweep_all
from app.services.usage import notices, refusals
from app.tenancy import unscoped

SWEEP_SECONDS = 60


def sweep() -> None:
    """Clean up expired and orphaned data. Every worker enqueues it each minute; running it twice is
    harmless."""
    app = create_app(Settings.from_env())
    container = app.extensions["lightwell"]
    recorded = job_runs.recorded(container.redis, "sweep", container.clock)
    with app.app_context(), recorded as outcome:
        swept = sweep_all(container.storage, container.settings.spool_dir, container.clock())
        removed = [f"{number} {name}" for name, number in swept.items() if number]
        outcome.result = f"removed {', '.join(removed) or 'nothing'}"
        plans.lapse_due(container.settings.site, container.clock())
        refusals.flush(container.redis)
        request_log.move(container.redis)
        trim_failed(container.redis)
        notices.send_due(container.settings.site, container.clock())
        if container.provider:
            subscriptions.synchronise_due(container.provider)
            metering.report(container.provider)


def compare_storage() -> None:
    """Report objects without a row and rows without an object. Every worker enqueues it once a
    day."""
    app = create_app(Settings.from_env())
    container = app.extensions["lightwell"]
    recorded = job_runs.recorded(container.redis, "compare_storage", container.clock)
    with app.app_context(), recorded:
        inventory.report(container.storage, container.clock())


def billing() -> None:
    """Handle the payment provider's stored events. Harmless if there are none or another worker
    handles them."""
    app = create_app(Settings.from_env())
    container = app.extensions["lightwell"]
    if provider := container.provider:
        with app.app_context(), job_runs.recorded(container.redis, "billing", container.clock):
            inbox.work(provider)


def reconcile() -> None:
    """Compare all organizations with the payment provider, for staff to see what differs."""
    app = create_app(Settings.from_env())
    container = app.extensions["lightwell"]
    if provider := container.provider:
        recorded = job_runs.recorded(container.redis, "reconcile", container.clock)
        with app.app_context(), recorded as outcome:
            outcome.result = f"differences: {staff_reconcile.compare(container.redis, provider)}"


def mails() -> None:
    """Send the mails that are due. Harmless if there are none or another worker sends them."""
    app = create_app(Settings.from_env())
    container = app.extensions["lightwell"]
    if container.mailer:
        with app.app_context(), job_runs.recorded(container.redis, "mails", container.clock):
            outbox.work(container.mailer, container.clock)


def export(org_id: str, mode: str, export_id: str) -> None:
    """Make the ZIP of a batch export. Harmless if it is done or another worker is making it."""
    app = create_app(Settings.from_env())
    container = app.extensions["lightwell"]
    try:
        with app.app_context():
            test_images = container.settings.test_images_per_day
            export_worker.work(org_id, mode, export_id, container.processing_context, test_images)
    finally:
        metrics.flush(container.redis, container.clock())
        container.close()


def data_export(org_id: str, export_id: str) -> None:
    """Make the ZIP of a data export. Harmless if it is done or another worker is making it."""
    app = create_app(Settings.from_env())
    container = app.extensions["lightwell"]
    with app.app_context():
        data_export_worker.work(
            org_id, export_id, container.processing_context, container.settings.site
        )


def deletions() -> None:
    """Delete the organizations whose time has come. Harmless if there are none or another worker
    deletes them."""
    app = create_app(Settings.from_env())
    container = app.extensions["lightwell"]
    with app.app_context(), job_runs.recorded(container.redis, "deletions", container.clock):
        erasure.delete_due(container.storage, container.provider, container.clock())


def resume_exports(app: Flask) -> None:
    """Enqueue unfinished exports of dead workers again."""
    container = app.extensions["lightwell"]
    with transaction() as session, unscoped(session, "resume exports"):
        due = export_worker.requeue_due(session, container.clock())
        data_due = data_export_worker.requeue_due(session, container.clock())
    for one in due:
        export_jobs.enqueue(container.redis, one)
    for one_data in data_due:
        data_exports.enqueue(container.redis, one_data)


def resume_deletions(app: Flask) -> None:
    """Enqueue the job of deletions if some are due."""
    container = app.extensions["lightwell"]
    with transaction() as session:
        is_due = erasure.has_due(session, container.clock())
    if is_due:
        erasure.enqueue(container.redis)


def resume_billing(app: Flask) -> None:
    """Enqueue the inbox job if events are due: their job was lost, or they are to be retried."""
    container = app.extensions["lightwell"]
    if container.provider is None:
        return
    with transaction() as session:
        is_due = inbox.has_due(session, container.clock())
    if is_due:
        inbox.enqueue(container.redis)


def resume_mails(app: Flask) -> None:
    """Enqueue the job that sends mails if any are due. Nothing else enqueues it: a mail is due from
    the commit that writes it."""
    container = app.extensions["lightwell"]
    if container.mailer is None:
        return
    with transaction() as session:
        is_due = outbox.has_due(session, container.clock())
    if is_due:
        outbox.enqueue(container.redis)


def sample_queues(app: Flask) -> None:
    """Note for how long jobs have waited."""
    container = app.extensions["lightwell"]
    moment = container.clock()
    ages = {state.name: state.age(moment) for state in queue_states(container.redis)}
    metrics.sample_ages(container.redis, ages, moment)


PERIODIC: tuple[Callable[[Flask], None], ...] = (
    resume_exports,
    resume_billing,
    resume_deletions,
    resume_mails,
    sample_queues,
)
"""Run by every worker every 5 seconds in an application context, even while its queues are
blocked."""
