"""The real service, started as ``./run serve`` starts it, in its own folder, which is removed
afterwards."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.config import Settings
from bench.client import Server
from bench.server import HttpSide, started
from dev.environment import read_services
from dev.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
EMAIL = "bench@example.com"


@contextmanager
def running(folder: Path, connections: int) -> Iterator[HttpSide]:
    """Lightwell: SQLite migrated, Valkey, gunicorn, worker, and an account on ENTERPRISE, whose
    limits are not reached."""
    port = free_port()
    ours = {
        "APP_ENV": "development",
        "DATA_DIR": str(folder),
        "HOST": "127.0.0.1",
        "PORT": str(port),
    }
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in Settings.model_fields
    }
    environment = inherited | ours
    _flask(environment, "db", "upgrade")
    command = [sys.executable, "-m", "dev.serve"]
    with started(
        command, ROOT, environment, folder / "serve.log", f"http://127.0.0.1:{port}/readyz"
    ) as process:
        account = json.dumps({"email": EMAIL}).encode()
        register = urllib.request.Request(
            f"http://127.0.0.1:{port}/auth/register", account, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(register) as response:
            key = json.load(response)["apiKey"]
        _flask(read_services(folder) | environment, "orgs", "set-plan", EMAIL, "ENTERPRISE")
        yield HttpSide(
            "lightwell", process, Server(port, {"Authorization": f"Bearer {key}"}), connections
        )


def _flask(environment: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "flask", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"flask {' '.join(arguments)} failed:\n{done.stderr}")


def versions() -> str:
    """The library that does the pixels: asked in a process of its own, since ours starts
    children."""
    show = "import pyvips; print(pyvips.__version__, *(pyvips.version(part) for part in range(3)))"
    told = subprocess.run(
        [sys.executable, "-c", show], capture_output=True, text=True, check=True
    ).stdout.split()
    return f"pyvips {told[0]} (libvips {'.'.join(told[1:])})"
