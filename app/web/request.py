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
"""The largest body that is not an upload. The ids of the largest export fit in it."""
OTHER_FIELDS = 50
"""Form parts that a request may have in addition to its files."""
OF_THE_PLAN = "that the plan allows"


class SpooledFile:
    """An upload on disk. Its file is open only while it is written, so that a large batch does not
    use up file descriptors.

    ``name`` is the cleaned file name from the client, ``number`` the upload's index in the request.
    Writing more than ``limit`` bytes raises TooLarge, which says ``whose`` limit it is.
    """

    def __init__(
        self, folder: Path, number: int, sent_name: str, limit: int, whose: str = OF_THE_PLAN
    ) -> None:
        self.number = number
        self.is_named = sent_name != ""
        self.name = clean_name(sent_name)
        self.path = folder / f"upload-{number}"
        self.limit = limit
        self._whose = whose
        self.size = 0
        self._file = self.path.open("wb")

    @property
    def is_chosen(self) -> bool:
        return self.is_named or self.size > 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        if self.size > self.limit:
            raise TooLarge(
                f"{self.name} is larger than {self.limit // MEGABYTE} MB, the most {self._whose}."
            )
        return self._file.write(data)

    def seek(self, _offset: int) -> None:
        """The form parser rewinds a file after its last byte; here that closes the file."""
        self._file.close()

    def close(self) -> None:
        self._file.close()


class ApiRequest(Request):
    """A request. Its body is limited to MAX_CONTENT_LENGTH until ``allow`` raises the limit for
    uploads."""

    form_data_parser_class = FormParser
    file_bytes = 0
    whose_limits = OF_THE_PLAN

    @cached_property
    def id(self) -> str:
        return new_id("req", now())

    @cached_property
    def spool(self) -> Path:
        """The request's own folder, removed after the answer."""
        folder = container().processing_context.spool_dir / self.id
        folder.mkdir(parents=True)
        return folder

    @cached_property
    def uploads(self) -> list[SpooledFile]:
        """All uploads that have started, in the order sent."""
        return []

    @property
    def mimetype_params(self) -> dict[str, str]:
        """The Content-Type's parameters, parsed leniently because clients write boundaries in many
        ways."""
        return parameters(self.headers.get("Content-Type", ""))

    def allow(self, allowance: Allowance, *, uploads: bool) -> None:
        """Raise the body's limits to those of the plan and the server if the view takes
        ``uploads``."""
        self.file_bytes = allowance.file_bytes
        self.max_form_parts = allowance.batch_files + OTHER_FIELDS
        if uploads and self.mimetype == FORM:
            self.max_content_length = min(
                container().settings.max_request_mb * MEGABYTE,
                allowance.batch_files * allowance.file_bytes + MEGABYTE,
            )

    def spooled_files(self) -> list[tuple[str, SpooledFile]]:
        """Return (field, upload) pairs in the order sent, without those of
        ``empty_file_fields``."""
        uploads = self._file_parts
        return sorted(
            (entry for entry in uploads if entry[1].is_chosen), key=lambda entry: entry[1].number
        )

    @property
    def empty_file_fields(self) -> set[str]:
        """File fields without a chosen file: browsers send them with an empty name and no bytes."""
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
        """Return the body as JSON; an empty body is an empty object. Raises UnsupportedMediaType,
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
        upload = SpooledFile(
            self.spool, len(self.uploads), filename or "", self.file_bytes, self.whose_limits
        )
        self.uploads.append(upload)
        return upload


def wants_json() -> bool:
    """Return whether a script of one of our pages asks: those accept nothing but JSON."""
    return request.accept_mimetypes.to_header() == "application/json"


def api_request() -> ApiRequest:
    """The current request, typed as ApiRequest."""
    return cast(ApiRequest, request)
