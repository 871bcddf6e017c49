"""Structured logs: one JSON object a line in production, readable lines in development.

Values bound to the context (request id, org, key id) are on every line of the request. Customers'
keys, bodies and file names are never logged.
"""

import logging
import sys

import structlog

from app.config import Settings

QUIETER = {
    "alembic.runtime.plugins": "WARNING",
    "flask-limiter": "ERROR",
    "rq": "WARNING",
    "rq.worker": "WARNING",
    "stripe": "WARNING",
}
"""The lowest level to log for loggers of libraries."""


def configure(settings: Settings) -> None:
    """Send structlog and the standard library's loggers (gunicorn, RQ, SQLAlchemy) through one
    handler."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(settings),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for chatty, level in QUIETER.items():
        logging.getLogger(chatty).setLevel(level)


def _renderers(settings: Settings) -> list[structlog.typing.Processor]:
    """Tracebacks are plain, because local variables may contain customers' secrets."""
    if settings.app_env == "production":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
    ]
