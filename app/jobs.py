"""What the worker runs: entry points that take ids, open a context and call a service."""

from collections.abc import Callable

from flask import Flask

from app.adapters.queue import DEFAULT, EXPORTS
from app.config import Settings
from app.extensions import transaction
from app.factory import create_app
from app.services import inventory
from app.services.billing import inbox, metering, subscriptions
from app.services.exports import export_jobs, export_worker
from app.services.sweep import sweep as sweep_all
from app.tenancy import unscoped

QUEUES = (DEFAULT, EXPORTS)
"""Each is worked on by a process of its own: what may take an hour does not hold up the rest."""
SWEEP_SECONDS = 60
COMPARED_DAILY = "40 3 * * *"
"""In UTC, when nobody works; with the exports, since it may take as long."""


def sweep() -> None:
    """Tidy up; enqueued every minute by every worker, harmless when two of them do."""
    app = create_app(Settings.from_env())
    container = app.extensions["lightwell"]
    with app.app_context():
        sweep_all(container.storage, container.settings.spool_dir, container.clock())
        if container.provider:
            subscriptions.synchronise_due(container.provider)
            metering.report(container.provider)


def compare_storage() -> None:
    """Report objects that no row knows and rows whose object is missing; enqueued once a day by
    every worker."""
    app = create_app(Settings.from_env())
    container = app.extensions["lightwell"]
    with app.app_context():
        inventory.report(container.storage, container.clock())


def billing() -> None:
    """Handle what the payment provider sent; harmless when there is nothing, or when another worker
    is at it."""
    app = create_app(Settings.from_env())
    if provider := app.extensions["lightwell"].provider:
        with app.app_context():
            inbox.work(provider)


def export(org_id: str, mode: str, export_id: str) -> None:
    """Make the ZIP of a batch export; harmless when it is done, or when another worker is at it."""
    app = create_app(Settings.from_env())
    container = app.extensions["lightwell"]
    try:
        with app.app_context():
            test_images = container.settings.test_images_per_day
            export_worker.work(org_id, mode, export_id, container.processing_context, test_images)
    finally:
        container.close()


def resume_exports(app: Flask) -> None:
    """Enqueue again what a dead worker left."""
    container = app.extensions["lightwell"]
    with transaction() as session, unscoped(session, "resume exports"):
        due = export_worker.requeue_due(session, container.clock())
    for one in due:
        export_jobs.enqueue(container.redis, one)


def resume_billing(app: Flask) -> None:
    """Enqueue what was lost between the inbox and the queue, and what is to be tried again."""
    container = app.extensions["lightwell"]
    if container.provider is None:
        return
    with transaction() as session:
        is_due = inbox.has_due(session, container.clock())
    if is_due:
        inbox.enqueue(container.redis)


PERIODIC: tuple[Callable[[Flask], None], ...] = (resume_exports, resume_billing)
"""What every worker does every 5 seconds, in an application context, whether or not its queues get
on."""
