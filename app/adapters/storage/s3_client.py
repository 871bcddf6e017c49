"""boto3's client of one bucket, its errors and its streams."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from s3transfer.exceptions import RetriesExceededError

from app.adapters.storage.s3_urls import Presigner
from app.errors import DependencyDown

log = structlog.get_logger()
logging.getLogger("botocore").setLevel(logging.WARNING)  # its debug lines hold signatures

MISSING = frozenset({"404", "InvalidPart", "NoSuchKey", "NoSuchUpload"})


@dataclass(frozen=True)
class BucketClient:
    """boto3's client, and what signs URLs of the bucket."""

    client: Any
    presigner: Presigner


def connect(bucket: str, endpoint_url: str | None, region: str) -> BucketClient:
    """Raises BotoCoreError, where there are no credentials. Nothing is sent yet."""
    session = Session(region_name=region)
    credentials = session.get_credentials()
    client = session.client(
        "s3", endpoint_url=endpoint_url, config=_config("path" if endpoint_url else "virtual")
    )
    # The client knows how a bucket gets its address. This sends nothing.
    bucket_url = client.generate_presigned_url("head_bucket", Params={"Bucket": bucket}).partition(
        "?"
    )[0]
    return BucketClient(client, Presigner(bucket_url.rstrip("/"), credentials, region))


def _config(addressing_style: str) -> Config:
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": addressing_style},
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=64,
        # Checksums in trailers are AWS's own; other services refuse them.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


@contextmanager
def reaching(name: str) -> Iterator[None]:
    """Raise what Storage documents in place of boto3's errors: FileNotFoundError,
    DependencyDown."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in MISSING:
            raise FileNotFoundError(name) from None
        raise down(code) from error
    except (BotoCoreError, RetriesExceededError) as error:
        raise down(type(error).__name__) from error


def down(reason: str) -> DependencyDown:
    # The error's own text names URLs and customers' files.
    log.error("storage.down", reason=reason)
    return DependencyDown("The storage does not answer just now. Repeat the request shortly.")


class Joined(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class Received(io.RawIOBase):
    """An object's bytes as they arrive."""

    def __init__(self, key: str, body: Any) -> None:
        self._key = key
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with reaching(self._key):
            return int(self._body.readinto(buffer))

    def close(self) -> None:
        self._body.close()
        super().close()
