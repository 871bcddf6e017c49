"""The worker's parent process: keeps the queue processes running and schedules periodic jobs."""

import sys

from app.adapters.mail import warn_without_mail
from app.adapters.queue import QUEUES
from app.config import ConfigurationError, Settings
from app.factory import create_app
from app.logs import configure
from app.supervisor import keep_running
from app.worker import scheduler


def main() -> int:
    """Work until SIGTERM or SIGINT. Returns the exit code."""
    try:
        settings = Settings.from_env()
    except ConfigurationError as error:
        raise SystemExit(str(error)) from None
    configure(settings)
    warn_without_mail(settings)
    scheduler.start(create_app(settings), settings)
    return keep_running(
        {queue: [sys.executable, "-m", "app.worker.queues", queue] for queue in QUEUES}
    )


if __name__ == "__main__":
    sys.exit(main())
