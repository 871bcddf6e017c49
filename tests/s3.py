"""A real S3 server for the tests: ministack, which checks signatures, expiry, types and lengths of
presigned URLs."""

import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session
from botocore.config import Config

from dev.ports import free_port
from tests.clock import another_date

MINISTACK = Path(__file__).resolve().parent.parent / ".venv-s3" / "bin" / "ministack"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "lightwell", "AWS_SECRET_ACCESS_KEY": "a-secret-for-tests-only"}
REGION = "us-east-1"
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class S3Server:
    """``client`` is a plain one of boto3, to look at the bucket from outside."""

    endpoint: str
    bucket: str
    client: Any


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    """An S3 server with one empty bucket, on loopback; boto3 finds the credentials in the
    environment meanwhile."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    environment = {
        **CREDENTIALS, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port),
        "SERVICES": "s3,iam,sts", "AUTH": "true",
        "TMPDIR": str(folder), "HOME": str(folder), "S3_DATA_DIR": str(folder / "s3"),
        "STATE_DIR": str(folder),
        "LOG_LEVEL": "WARNING", "PATH": "/usr/bin:/bin", **another_date(),
    }  # fmt: skip
    with (
        (folder / "ministack.log").open("wb") as log,
        subprocess.Popen([MINISTACK], env=environment, stdout=log, stderr=log) as process,
        pytest.MonkeyPatch.context() as patch,
    ):
        try:
            _wait_for(f"{endpoint}/_ministack/ready", process)
            for name, value in {
                **CREDENTIALS,
                "AWS_CONFIG_FILE": "",
                "AWS_SHARED_CREDENTIALS_FILE": "",
            }.items():
                patch.setenv(name, value)
            for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
                patch.delenv(name, raising=False)
            yield _with_bucket(endpoint)
        finally:
            process.terminate()


def _with_bucket(endpoint: str) -> S3Server:
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    client = Session(region_name=REGION).client("s3", endpoint_url=endpoint, config=config)
    client.create_bucket(Bucket="lightwell")
    return S3Server(endpoint, "lightwell", client)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.05)
    raise AssertionError("the S3 server did not start")
