"""What the worker runs: entry points that take ids, open a context and call a service."""

from collections.abc import Callable

from flask import Flask

from app.adapters.queue import DEFAULT, EXPORTS
from app.config import Settings
from app.extensions import transaction
from app.factory import create_app
from app.services import batches, inbox, inventory, metering, subscriptions
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
    tools = app.extensions["lightwell"]
    with app.app_context():
        sweep_all(tools.storage, tools.settings.spool_dir, tools.clock())
        if tools.provider:
            subscriptions.check_unheard(tools.provider)
            metering.report(tools.provider)


def compare_storage() -> None:
    """Report objects that no row knows and rows whose object is missing; enqueued once a day by
    every worker."""
    app = create_app(Settings.from_env())
    tools = app.extensions["lightwell"]
    with app.app_context():
        inventory.report(tools.storage, tools.clock())


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
    tools = app.extensions["lightwell"]
    try:
        with app.app_context():
            test_images = tools.settings.test_images_per_day
            batches.work(org_id, mode, export_id, tools.workshop, test_images)
    finally:
        tools.close()


def resume_exports(app: Flask) -> None:
    """Enqueue again what a dead worker left."""
    tools = app.extensions["lightwell"]
    with transaction() as session, unscoped(session, "resume exports"):
        due = batches.take_due(session, tools.clock())
    for one in due:
        batches.send(tools.redis, one)


def resume_billing(app: Flask) -> None:
    """Enqueue what was lost between the inbox and the queue, and what is to be tried again."""
    tools = app.extensions["lightwell"]
    if tools.provider is None:
        return
    with transaction() as session:
        is_due = inbox.has_due(session, tools.clock())
    if is_due:
        inbox.send(tools.redis)


TICKS: tuple[Callable[[Flask], None], ...] = (resume_exports, resume_billing)
"""What every worker does every 5 seconds, in an application context, whether or not its queues get
on."""
