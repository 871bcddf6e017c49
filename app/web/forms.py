"""Parses ``multipart/form-data`` (RFC 7578) as clients really write it, while it arrives.

Werkzeug finds the parts. This module reads their headers, because many clients break the RFCs in
ways whose meaning is still clear (``tests/web/test_forms.py`` lists them).
"""

import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from functools import cached_property
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from werkzeug.datastructures import FileStorage, Headers
from werkzeug.formparser import FormDataParser
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from app.errors import BadRequest, TooLarge
from app.web.media import FORM

READ_BYTES = 64 * 1024
HEADER_BYTES = 16 * 1024
"""The most bytes that the headers of one part may have."""
NULL_VALUES = frozenset({"", "null", "undefined"})
"""Texts that stand for a missing value; JavaScript clients send the last two."""
PARAMETER = re.compile(
    r";\s*(?P<name>[^\s;=*]+)(?P<star>\*?)\s*=\s*"
    r'(?:"(?P<escaped>(?:[^"\\]|\\.)*)"(?=\s*(?:;|$))|"(?P<quoted>.*?)"(?=\s*(?:;|$))|(?P<plain>[^;]*))',
    re.DOTALL,
)
"""Not all clients escape quotes and backslashes, so a quoted value also ends at a quote before a
semicolon. An unquoted value extends to the semicolon, including brackets and spaces."""
EXTENDED = re.compile(r"([\w-]*)'[^']*'(.*)", re.DOTALL)
"""RFC 8187: ``UTF-8'en'%e2%82%ac%20rates``."""
TEXTUAL = re.compile(r"text/|application/json\b", re.IGNORECASE)
BROKEN = (
    "The form cannot be read: it ends early, or it has another boundary than the Content-Type "
    "names."
)
TOO_MUCH_TEXT = "The form has too much text. A file needs a file name, or an image's Content-Type."
NO_BOUNDARY = (
    "The Content-Type names no boundary. Leave this header to your HTTP client, which knows the "
    "boundary."
)


def parameters(header: str) -> dict[str, str]:
    """Return the parameters of a header such as ``Content-Disposition``, by lower-case name.

    ``filename*`` (RFC 8187) takes precedence over ``filename`` in any order. Of two equal names the
    first counts.
    """
    plain: dict[str, str] = {}
    extended: dict[str, str] = {}
    for found in PARAMETER.finditer(header):
        escaped, quoted, bare = found["escaped"], found["quoted"], found["plain"]
        value = (
            re.sub(r'\\(["\\])', r"\1", escaped)
            if escaped is not None
            else quoted or (bare or "").strip()
        )
        if not found["star"]:
            # Browsers write these for a quote and for line ends.
            value = re.sub("%22", '"', re.sub("%0[ad]", "", value, flags=re.IGNORECASE))
            plain.setdefault(found["name"].lower(), value)
        elif encoded := EXTENDED.fullmatch(value):
            charset, text = encoded.groups()
            extended.setdefault(found["name"].lower(), decoded(unquote_to_bytes(text), charset))
    return plain | extended


def decoded(data: bytes, charset: str = "") -> str:
    """Decode text as UTF-8, else as Windows-1252, a superset of Latin-1 that old forms use."""
    if charset.lower() != "iso-8859-1":
        try:
            return data.decode()
        except UnicodeDecodeError:
            pass
    return data.decode("cp1252", "ignore")


def _from_words(name: str) -> str:
    """Decode a name that Java or .NET clients encoded as in e-mail: ``=?utf-8?B?w6Q=?=`` (RFC
    2047)."""
    try:
        return str(make_header(decode_header(name))) if name.startswith("=?") else name
    except (HeaderParseError, LookupError, ValueError):
        return name


class Decoder(MultipartDecoder):
    """Tells files from fields: a file has a name, or a media type that is not text."""

    @cached_property
    def _begun(self) -> re.Pattern[bytes]:
        """Matches an incomplete boundary line at the end of the data read so far."""
        return re.compile(rb"(?:\r\n|\n|\r)--%s-{0,2}[ \t]*\Z" % re.escape(self.boundary))

    def next_event(self) -> Event:
        event = super().next_event()
        if not isinstance(event, Field | File):
            return event
        found = parameters(event.headers["Content-Disposition"])
        name, media_type = found.get("name", ""), event.headers.get("Content-Type", "")
        if "filename" in found or (media_type and not TEXTUAL.match(media_type)):
            return File(
                name=name, headers=event.headers, filename=_from_words(found.get("filename", ""))
            )
        return Field(name=name, headers=event.headers)

    def _last_partial_boundary_index(self, data: bytes | bytearray) -> int:
        """Werkzeug's version treats the line break before a boundary as content if the data read so
        far ends within the boundary's dashes."""
        start = data.rfind(b"--" + self.boundary)
        begun = self._begun.search(data, max(start - 2, 0)) if start >= 0 else None
        return begun.start() if begun else super()._last_partial_boundary_index(data)

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        """Werkzeug's version accepts only UTF-8, and headers of any length."""
        if len(data) > HEADER_BYTES:
            raise TooLarge(
                f"A part of the form has more than {HEADER_BYTES // 1024} KB of headers."
            )
        return super()._parse_headers(decoded(bytes(data)).encode())


class FormParser(FormDataParser):
    """Reports a broken form, which Werkzeug's parser treats as an empty one."""

    def parse(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str] | None = None,
    ) -> Any:
        """Return fields and files in Werkzeug's form. All text together is limited by
        ``max_form_memory_size``. Raises BadRequest, TooLarge."""
        if mimetype != FORM:
            return super().parse(stream, mimetype, content_length, options)
        boundary = (options or {}).get("boundary", "").encode("latin-1", "replace")
        if not boundary:
            raise BadRequest(NO_BOUNDARY)
        decoder = Decoder(boundary, self.max_form_memory_size, max_parts=self.max_form_parts)
        try:
            fields, files = self._parts(_events(decoder, stream))
        except ValueError:
            raise BadRequest(BROKEN) from None
        return stream, self.cls(fields), self.cls(files)

    def _parts(
        self, events: Iterator[Event]
    ) -> tuple[list[tuple[str, str]], list[tuple[str, FileStorage]]]:
        fields: list[tuple[str, str]] = []
        files: list[tuple[str, FileStorage]] = []
        memory = 0
        for event in events:
            if isinstance(event, Field):
                text = bytearray()
                for data in _data(events):
                    memory += len(data)
                    if memory > (self.max_form_memory_size or memory):
                        raise TooLarge(TOO_MUCH_TEXT)
                    text += data
                charset = parameters(event.headers.get("Content-Type", "")).get("charset", "")
                fields.append((event.name, decoded(bytes(text), charset)))
            elif isinstance(event, File):
                media_type = event.headers.get("Content-Type")
                file = self.stream_factory(None, media_type, event.filename)
                for data in _data(events):
                    file.write(data)
                file.seek(0)
                files.append(
                    (event.name, FileStorage(file, event.filename, event.name, media_type))
                )
        return fields, files


def _events(decoder: MultipartDecoder, stream: IO[bytes]) -> Iterator[Event]:
    """Yield the parts of a body as they arrive. Raises ValueError if the body ends early."""
    while True:
        read = stream.read(READ_BYTES)
        decoder.receive_data(read or None)
        while not isinstance(event := decoder.next_event(), NeedData):
            yield event
            if isinstance(event, Epilogue):
                return


def _data(events: Iterator[Event]) -> Iterator[bytes]:
    """Yield the bytes of the part that has just begun."""
    for event in events:
        if isinstance(event, Data):
            yield event.data
            if not event.more_data:
                return
