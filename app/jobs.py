"""What the worker runs: entry points that take ids, open a context and call a service."""

from app.config import Settings
from app.factory import create_app
from app.services.sweep import sweep as sweep_all

QUEUES = ("default",)
SWEEP_SECONDS = 60


def sweep() -> None:
    """Tidy up; enqueued every minute by every worker, harmless when two of them do."""
    app = create_app(Settings.from_env())
    tools = app.extensions["lightwell"]
    with app.app_context():
        sweep_all(tools.storage, tools.settings.spool_dir, tools.clock())
