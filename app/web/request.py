"""The request: strict JSON, and uploads that go to disk as they arrive, within the plan's
limits."""

import shutil
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, cast

from flask import Request, request

from app.errors import BadRequest, TooLarge, UnsupportedMediaType
from app.models import new_id
from app.services.accounts.principal import MEGABYTE, Allowance
from app.services.filenames import clean_name
from app.web.context import container, now
from app.web.forms import FormParser, parameters
from app.web.media import FORM

JSON_BYTES = 2 * MEGABYTE
"""Largest body that is not an upload; the ids of the largest export fit in."""
OTHER_FIELDS = 50
"""Form parts that a request may have beside its files."""


class SpooledFile:
    """An upload on disk, opened only while it is written, so that a large batch holds no
    descriptors.

    ``name`` is the client's, cleaned; ``number`` counts the uploads of a request in the order sent.
    Writing past ``limit`` bytes raises TooLarge.
    """

    def __init__(self, folder: Path, number: int, sent_name: str, limit: int) -> None:
        self.number = number
        self.is_named = sent_name != ""
        self.name = clean_name(sent_name)
        self.path = folder / f"upload-{number}"
        self.limit = limit
        self.size = 0
        self._file = self.path.open("wb")

    @property
    def is_chosen(self) -> bool:
        return self.is_named or self.size > 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        if self.size > self.limit:
            raise TooLarge(
                f"{self.name} is larger than {self.limit // MEGABYTE} MB, the most that the plan "
                "allows."
            )
        return self._file.write(data)

    def seek(self, _offset: int) -> None:
        """The form parser rewinds what it has read whole; here that ends the writing."""
        self._file.close()

    def close(self) -> None:
        self._file.close()


class ApiRequest(Request):
    """A request to an API surface. Bodies are small (MAX_CONTENT_LENGTH) until ``allow`` opens them
    for uploads."""

    form_data_parser_class = FormParser
    file_bytes = 0

    @cached_property
    def id(self) -> str:
        return new_id("req", now())

    @cached_property
    def spool(self) -> Path:
        """A folder of this request's own, gone when it is answered."""
        folder = container().processing_context.spool_dir / self.id
        folder.mkdir(parents=True)
        return folder

    @cached_property
    def uploads(self) -> list[SpooledFile]:
        """All uploads that have begun, in the order sent."""
        return []

    @property
    def mimetype_params(self) -> dict[str, str]:
        """The Content-Type's parameters; boundaries are read as leniently as they are written."""
        return parameters(self.headers.get("Content-Type", ""))

    def allow(self, allowance: Allowance, *, uploads: bool) -> None:
        """Take files as large and as many as the plan and the server allow, where the view takes
        ``uploads``."""
        self.file_bytes = allowance.file_bytes
        self.max_form_parts = allowance.batch_files + OTHER_FIELDS
        if uploads and self.mimetype == FORM:
            self.max_content_length = min(
                container().settings.max_request_mb * MEGABYTE,
                allowance.batch_files * allowance.file_bytes + MEGABYTE,
            )

    def spooled_files(self) -> list[tuple[str, SpooledFile]]:
        """The uploads with the fields they came in, in the order sent, without those of
        ``unchosen``."""
        uploads = self._file_parts
        return sorted(
            (entry for entry in uploads if entry[1].is_chosen), key=lambda entry: entry[1].number
        )

    @property
    def unchosen(self) -> set[str]:
        """The file fields in which nobody chose a file, as browsers send them: without a name,
        without a byte."""
        return {field for field, upload in self._file_parts if not upload.is_chosen}

    @property
    def _file_parts(self) -> list[tuple[str, SpooledFile]]:
        return [
            (field, cast(SpooledFile, file.stream)) for field, file in self.files.items(multi=True)
        ]

    def discard_spool(self) -> None:
        for upload in self.uploads:
            upload.close()
        if self.uploads:
            shutil.rmtree(self.spool, ignore_errors=True)

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """The body as JSON; none at all is an empty object. Raises UnsupportedMediaType,
        BadRequest."""
        if not self.get_data():
            return {}
        if not self.is_json:
            raise UnsupportedMediaType(
                "Send the body as JSON, with 'Content-Type: application/json'."
            )
        try:
            return super().get_json(force=force, silent=False, cache=cache)
        except RecursionError:
            raise BadRequest("The body is nested too deeply.") from None

    def on_json_loading_failure(self, e: ValueError | None) -> NoReturn:
        raise BadRequest(
            f"The body is not valid JSON: {e}." if e else "The body is not valid JSON."
        )

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> Any:
        upload = SpooledFile(self.spool, len(self.uploads), filename or "", self.file_bytes)
        self.uploads.append(upload)
        return upload


def api_request() -> ApiRequest:
    """The current request, as what it is."""
    return cast(ApiRequest, request)
