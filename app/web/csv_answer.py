"""Tables as CSV files (RFC 4180) that spreadsheets open without running what is in them."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

from flask import Response

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_answer(filename: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A download of a table whose texts may be anybody's."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow([cell(value) for value in head])
    writer.writerows([cell(value) for value in row] for row in rows)
    return Response(
        text.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )


def cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV
    injection); numbers stay numbers."""
    is_formula = isinstance(value, str) and value.lstrip(" ").startswith(FORMULA_STARTS)
    return f"'{value}" if is_formula else value
