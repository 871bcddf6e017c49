"""Objects in S3, or in whatever speaks its protocol."""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from boto3.s3.transfer import TransferConfig

from app.adapters.storage.interface import (
    OCTETS,
    PresignedUpload,
    Stored,
    StoredPart,
    content_disposition,
)
from app.adapters.storage.s3_client import (
    BucketClient,
    Joined,
    Received,
    connect,
    down,
    reaching,
)
from app.adapters.storage.s3_urls import Presigner
from app.errors import DependencyDown

PART_BYTES = 16 * 1024 * 1024
"""What an upload holds in memory. S3 takes 10,000 parts, so an object of unknown length has at most
160 GB."""
KEYS_PER_DELETION = 1000
BY_PARTS = TransferConfig(
    multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False
)


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
        with reaching(key):
            body = self._client.get_object(Bucket=self.bucket, Key=key, **part)["Body"]
        return io.BufferedReader(Received(key, body))

    def fetch(self, key: str, path: Path) -> None:
        with ExitStack() as undo:
            with path.open("xb") as file, reaching(key):
                undo.callback(path.unlink)
                self._client.download_fileobj(self.bucket, key, file, Config=BY_PARTS)
            undo.pop_all()  # once it is closed: what a full disk refuses shows only then

    def size(self, key: str) -> int | None:
        try:
            with reaching(key):
                return int(self._client.head_object(Bucket=self.bucket, Key=key)["ContentLength"])
        except FileNotFoundError:
            return None

    def pages(self, prefix: str = "") -> Iterator[Sequence[Stored]]:
        with reaching(self.bucket):
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
            with reaching(self.bucket):
                done = self._client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": batch, "Quiet": True}
                )
            if failures := done.get("Errors"):
                raise down(failures[0]["Code"])

    def presign_put(
        self, key: str, *, size: int, content_type: str, expires_at: datetime, now: datetime
    ) -> PresignedUpload:
        headers = {"Content-Type": content_type}
        with reaching(key):
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
        with reaching(key):
            return self._presigner.url("GET", key, now=now, expires_at=expires_at, query=answer)

    def begin_parts(self, key: str, content_type: str) -> str:
        with reaching(key):
            begun = self._client.create_multipart_upload(
                Bucket=self.bucket, Key=key, ContentType=content_type
            )
        return str(begun["UploadId"])

    def presign_part(
        self,
        key: str,
        parts_id: str,
        number: int,
        *,
        size: int,
        expires_at: datetime,
        now: datetime,
    ) -> PresignedUpload:
        with reaching(key):
            url = self._presigner.url(
                "PUT",
                key,
                now=now,
                expires_at=expires_at,
                headers={"Content-Length": str(size)},
                query={"partNumber": str(number), "uploadId": parts_id},
            )
        return PresignedUpload(url, {})

    def parts(self, key: str, parts_id: str) -> list[StoredPart]:
        with reaching(key):
            return [
                StoredPart(one["PartNumber"], one["Size"], one["ETag"])
                for one in self._listed_parts(key, parts_id)
            ]

    def complete_parts(self, key: str, parts_id: str, parts: Sequence[StoredPart]) -> None:
        wanted = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        with reaching(key):
            self._client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                UploadId=parts_id,
                MultipartUpload={"Parts": wanted},
            )

    def abort_parts(self, key: str, parts_id: str) -> None:
        with suppress(FileNotFoundError), reaching(key):
            self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=parts_id)

    def cleanup(self, before: datetime) -> int:
        aborted = 0
        with reaching(self.bucket):
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
            key, parts_id = upload["Key"], upload["UploadId"]
            with (
                suppress(FileNotFoundError),  # another process may clean up, too
                reaching(key),
            ):
                parts = self._listed_parts(key, parts_id)
                if all(part["LastModified"] < before for part in parts):
                    self._client.abort_multipart_upload(
                        Bucket=self.bucket, Key=key, UploadId=parts_id
                    )
                    aborted += 1
        return aborted

    def allow_browsers(self, origin: str) -> None:
        """Let pages of ``origin`` upload and download by signed URLs. Replaces the bucket's CORS
        rules."""
        rule = {
            "AllowedOrigins": [origin],
            "AllowedMethods": ["PUT", "GET"],
            "AllowedHeaders": ["Content-Type", "Range"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 3600,
        }
        with reaching(self.bucket):
            self._client.put_bucket_cors(
                Bucket=self.bucket, CORSConfiguration={"CORSRules": [rule]}
            )

    def _listed_parts(self, key: str, parts_id: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_parts").paginate(
            Bucket=self.bucket, Key=key, UploadId=parts_id
        )
        return (one for page in pages for one in page.get("Parts", ()))

    def check(self) -> None:
        try:
            with reaching(self.bucket):
                self._client.head_bucket(Bucket=self.bucket)
        except DependencyDown as error:
            raise OSError(error.message) from error

    def _upload(self, key: str, file: BinaryIO, content_type: str) -> None:
        with reaching(key):
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
                self._bucket_client = connect(self.bucket, self.endpoint_url, self.region)
            return self._bucket_client
