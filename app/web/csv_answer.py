"""Tables as CSV files (RFC 4180) that spreadsheets open without running what is in them."""

import csv
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

from flask import Response, stream_with_context

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
BYTE_ORDER_MARK = "\ufeff"
"""Excel reads UTF-8 only behind it."""


def csv_answer(filename: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A download of a table whose texts may be anybody's, sent row by row as ``rows`` come."""
    response = Response(
        stream_with_context(_lines(head, rows)), content_type="text/csv; charset=utf-8"
    )
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV
    injection), also where it begins with their wide forms; numbers stay numbers."""
    is_formula = isinstance(value, str) and (
        unicodedata.normalize("NFKC", value).lstrip(" ").startswith(FORMULA_STARTS)
    )
    return f"'{value}" if is_formula else value


def _lines(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield BYTE_ORDER_MARK + _line(head)
    for row in rows:
        yield _line(row)


def _line(row: Sequence[object]) -> str:
    text = StringIO()
    csv.writer(text).writerow([cell(value) for value in row])
    return text.getvalue()
