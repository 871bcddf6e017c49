"""``python -m dev.stripe``: the fake Stripe, at the address in STRIPE_API_BASE, with its state in
the data folder."""

import logging
import signal
import sys
from urllib.parse import urlsplit

from werkzeug.serving import make_server

from app.config import ConfigurationError, Settings
from app.logs import configure
from dev.stripe.factory import create_fake_stripe


def main() -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code; raises SystemExit with the reason if it
    cannot run."""
    try:
        settings = Settings.from_env()
    except ConfigurationError as error:
        raise SystemExit(str(error)) from None
    if settings.app_env == "production":
        raise SystemExit("The fake Stripe takes no real money: it does not run in production.")
    address = urlsplit(settings.stripe_api_base)
    if address.hostname != "127.0.0.1" or not address.port or not settings.stripe_secret_key:
        raise SystemExit("The fake Stripe needs the STRIPE_… variables that ./run serve sets.")
    configure(settings)
    logging.getLogger("werkzeug").setLevel("WARNING")  # a line for each request
    fake_stripe = create_fake_stripe(
        settings.stripe_secret_key,
        settings.stripe_webhook_secrets[0],
        f"http://{settings.host}:{settings.port}/webhooks/stripe",
        settings.data_dir / "fake_stripe.sqlite3",
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    make_server(
        address.hostname, address.port, fake_stripe, threaded=True
    ).serve_forever()  # which ends with KeyboardInterrupt
    return 0


if __name__ == "__main__":
    sys.exit(main())
