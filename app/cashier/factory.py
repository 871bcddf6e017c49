"""``create_cashier``: the test cashier's WSGI application."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from flask import Flask

from app.cashier import api, deliveries, pages
from app.cashier.books import Books, utc_now

TEMPLATES = Path(__file__).resolve().parent.parent.parent / "templates"


def create_cashier(
    secret_key: str,
    webhook_secret: str,
    webhook_url: str | None = None,
    path: Path | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Flask:
    """``path`` is the file of its books, in memory without one; without ``webhook_url`` no event is
    sent.

    Its ``extensions["books"]`` are the Books.
    """
    app = Flask("cashier", template_folder=str(TEMPLATES), static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    app.config.update(CASHIER_KEY=secret_key, MAX_CONTENT_LENGTH=1_000_000)
    books = app.extensions["books"] = Books(path, clock, delivers=webhook_url is not None)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(pages.blueprint)
    if webhook_url:
        deliveries.start(books, webhook_url, webhook_secret, clock)
    return app
