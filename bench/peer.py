"""The peer: sharp behind a small HTTP server on node (peers/sharp), installed at its first use."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.client import Server
from bench.server import HttpSide, started
from dev.ports import free_port

FOLDER = Path(__file__).resolve().parent / "peers" / "sharp"


def unavailable() -> str | None:
    """Return why the peer is unavailable, or None. Installs its packages if they are missing."""
    if not (shutil.which("node") and shutil.which("npm")):
        return "node or npm is not installed"
    if (FOLDER / "node_modules").is_dir():
        return None
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"], cwd=FOLDER, capture_output=True, text=True
    )
    return f"npm ci failed: {done.stderr.strip()[-300:]}" if done.returncode else None


def versions() -> str:
    """sharp's version, with those of its libvips and of node."""
    package = json.loads((FOLDER / "node_modules" / "sharp" / "package.json").read_text())
    show = "console.log(require('sharp').versions.vips, process.version)"
    told = subprocess.run(
        ["node", "-e", show], cwd=FOLDER, capture_output=True, text=True, check=True
    )
    vips, node = told.stdout.split()
    return f"sharp {package['version']} (libvips {vips}, node {node.removeprefix('v')})"


@contextmanager
def running(folder: Path, connections: int) -> Iterator[HttpSide]:
    """Run the peer with one libuv thread more than there are cores; each works on a whole picture.

    Of 1, 2, 3 and 4 threads on two cores, with 1 or 2 threads inside each picture, this was as fast
    as any.
    """
    port = free_port()
    threads = str((os.cpu_count() or 1) + 1)
    environment = {
        **os.environ,
        "PORT": str(port),
        "UV_THREADPOOL_SIZE": threads,
        "NODE_ENV": "production",
    }
    command = [shutil.which("node") or "node", "server.mjs"]
    with started(
        command, FOLDER, environment, folder / "sharp.log", f"http://127.0.0.1:{port}/"
    ) as process:
        yield HttpSide("sharp", process, Server(port), connections)
