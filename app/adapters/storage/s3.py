"""Objects in S3, or in whatever speaks its protocol."""

import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import structlog
from boto3.s3.transfer import TransferConfig
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from s3transfer.exceptions import RetriesExceededError

from app.adapters.storage.interface import OCTETS, PresignedUpload, Stored, content_disposition
from app.adapters.storage.s3_urls import Presigner
from app.errors import DependencyDown

log = structlog.get_logger()
logging.getLogger("botocore").setLevel(logging.WARNING)  # its debug lines hold signatures

PART_BYTES = 16 * 1024 * 1024
"""What an upload holds in memory. S3 takes 10,000 parts, so an object of unknown length has at most
160 GB."""
KEYS_PER_DELETION = 1000
MISSING = frozenset({"404", "NoSuchKey", "NoSuchUpload"})
BY_PARTS = TransferConfig(
    multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False
)


@dataclass(frozen=True)
class BucketClient:
    """boto3's client, and what signs URLs of the bucket."""

    client: Any
    presigner: Presigner


class S3Storage:
    """Objects in one bucket. ``endpoint_url`` is None for AWS; any other service gets the bucket in
    the path.

    The credentials are found by boto3, in AWS's usual variables, files or the machine's role.
    """

    def __init__(self, bucket: str, endpoint_url: str | None, region: str) -> None:
        self.bucket = bucket
        self.endpoint_url = endpoint_url
        self.region = region
        self._making_client = Lock()
        self._bucket_client: BucketClient | None = None

    @property
    def origin(self) -> str:
        return self._presigner.origin

    def put(self, key: str, chunks: Iterable[bytes], content_type: str = OCTETS) -> None:
        self._upload(key, io.BufferedReader(Joined(iter(chunks))), content_type)

    def put_file(self, key: str, path: Path, content_type: str) -> None:
        with path.open("rb") as file:
            self._upload(key, file, content_type)

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        part = (
            {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
            if start or end is not None
            else {}
        )
        with _reaching(key):
            body = self._client.get_object(Bucket=self.bucket, Key=key, **part)["Body"]
        return io.BufferedReader(Received(key, body))

    def fetch(self, key: str, path: Path) -> None:
        with ExitStack() as undo:
            with path.open("xb") as file, _reaching(key):
                undo.callback(path.unlink)
                self._client.download_fileobj(self.bucket, key, file, Config=BY_PARTS)
            undo.pop_all()  # once it is closed: what a full disk refuses shows only then

    def size(self, key: str) -> int | None:
        try:
            with _reaching(key):
                return int(self._client.head_object(Bucket=self.bucket, Key=key)["ContentLength"])
        except FileNotFoundError:
            return None

    def pages(self, prefix: str = "") -> Iterator[Sequence[Stored]]:
        with _reaching(self.bucket):
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix
            ):
                yield [
                    Stored(one["Key"], one["Size"], one["LastModified"])
                    for one in page.get("Contents", ())
                ]

    def delete(self, keys: Iterable[str]) -> None:
        remaining = iter(keys)
        while batch := [{"Key": key} for key in islice(remaining, KEYS_PER_DELETION)]:
            with _reaching(self.bucket):
                done = self._client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": batch, "Quiet": True}
                )
            if failures := done.get("Errors"):
                raise _down(failures[0]["Code"])

    def presign_put(
        self, key: str, *, size: int, content_type: str, expires_at: datetime, now: datetime
    ) -> PresignedUpload:
        headers = {"Content-Type": content_type}
        with _reaching(key):
            url = self._presigner.url(
                "PUT",
                key,
                now=now,
                expires_at=expires_at,
                headers={**headers, "Content-Length": str(size)},
            )
        return PresignedUpload(url, headers)

    def presign_get(
        self,
        key: str,
        *,
        filename: str,
        content_type: str,
        inline: bool,
        expires_at: datetime,
        now: datetime,
    ) -> str:
        answer = {
            "response-content-type": content_type,
            "response-content-disposition": content_disposition(filename, inline=inline),
        }
        with _reaching(key):
            return self._presigner.url("GET", key, now=now, expires_at=expires_at, query=answer)

    def cleanup(self, before: datetime) -> int:
        aborted = 0
        with _reaching(self.bucket):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket
            )
            abandoned = [
                one
                for page in pages
                for one in page.get("Uploads", ())
                if one["Initiated"] < before
            ]
        for upload in abandoned:
            with (
                suppress(FileNotFoundError),  # another process may clean up, too
                _reaching(upload["Key"]),
            ):
                name = {"Bucket": self.bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
                parts = (
                    one
                    for page in self._client.get_paginator("list_parts").paginate(**name)
                    for one in page.get("Parts", ())
                )
                if all(part["LastModified"] < before for part in parts):
                    self._client.abort_multipart_upload(**name)
                    aborted += 1
        return aborted

    def check(self) -> None:
        try:
            with _reaching(self.bucket):
                self._client.head_bucket(Bucket=self.bucket)
        except DependencyDown as error:
            raise OSError(error.message) from error

    def _upload(self, key: str, file: BinaryIO, content_type: str) -> None:
        with _reaching(key):
            self._client.upload_fileobj(
                file, self.bucket, key, ExtraArgs={"ContentType": content_type}, Config=BY_PARTS
            )

    @property
    def _client(self) -> Any:
        return self._made_client().client

    @property
    def _presigner(self) -> Presigner:
        return self._made_client().presigner

    def _made_client(self) -> BucketClient:
        """The client, made at its first use, which takes 60 to 100 ms. Threads may share it once it
        is made."""
        with self._making_client:
            if self._bucket_client is None:
                self._bucket_client = _connect(self.bucket, self.endpoint_url, self.region)
            return self._bucket_client


def _connect(bucket: str, endpoint_url: str | None, region: str) -> BucketClient:
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
def _reaching(name: str) -> Iterator[None]:
    """Raise what Storage documents in place of boto3's errors: FileNotFoundError,
    DependencyDown."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in MISSING:
            raise FileNotFoundError(name) from None
        raise _down(code) from error
    except (BotoCoreError, RetriesExceededError) as error:
        raise _down(type(error).__name__) from error


def _down(reason: str) -> DependencyDown:
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
        with _reaching(self._key):
            return int(self._body.readinto(buffer))

    def close(self) -> None:
        self._body.close()
        super().close()
