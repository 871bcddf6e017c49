"""``create_fake_stripe``: the fake Stripe's WSGI application."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from flask import Flask

from dev.stripe import api, deliveries, invoice_pages, pages
from dev.stripe.state import FakeStripe, utc_now


def create_fake_stripe(
    secret_key: str,
    webhook_secret: str,
    webhook_url: str | None = None,
    path: Path | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Flask:
    """``path`` is the file of the state; None keeps it in memory. Without ``webhook_url`` no events
    are sent.

    Its ``extensions["state"]`` is the FakeStripe.
    """
    app = Flask("fake_stripe", root_path=str(Path(__file__).resolve().parent), static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    app.config.update(API_KEY=secret_key, MAX_CONTENT_LENGTH=1_000_000)
    state = app.extensions["state"] = FakeStripe(path, clock, delivers=webhook_url is not None)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(invoice_pages.blueprint)
    if webhook_url:
        deliveries.start(state, webhook_url, webhook_secret, clock)
    return app
