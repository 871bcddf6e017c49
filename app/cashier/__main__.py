"""``python -m app.cashier PORT``: the test cashier on loopback, with its books in the data
folder."""

import logging
import signal
import sys
from collections.abc import Sequence

from werkzeug.serving import make_server

from app.cashier.factory import create_cashier
from app.config import ConfigurationError, Settings
from app.embedded import cashier_account, cashier_port_file
from app.logs import configure


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code; raises SystemExit, with the reason,
    where it cannot run."""
    try:
        settings = Settings.from_env()
    except ConfigurationError as error:
        raise SystemExit(str(error)) from None
    if settings.app_env == "production":
        raise SystemExit("The test cashier takes no real money: it does not run in production.")
    configure(settings)
    logging.getLogger("werkzeug").setLevel("WARNING")  # a line for each request
    port = int(arguments[0])
    account = cashier_account(settings.secret_key, port)
    cashier = create_cashier(
        account["stripe_secret_key"],
        account["stripe_webhook_secrets"],
        f"http://{settings.host}:{settings.port}/webhooks/stripe",
        cashier_port_file(settings.data_dir).with_name("books.sqlite3"),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    make_server(
        "127.0.0.1", port, cashier, threaded=True
    ).serve_forever()  # which ends with KeyboardInterrupt
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
