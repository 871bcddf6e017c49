"""The page of an invoice, and the same as a PDF."""

from flask import Blueprint, Response
from werkzeug.exceptions import NotFound

from dev.stripe.calls import state
from dev.stripe.errors import FakeStripeError
from dev.stripe.formatting import INVOICE_STATUSES, day, money
from dev.stripe.rendering import page
from dev.stripe.store import Document

blueprint = Blueprint("invoices", __name__, url_prefix="/invoices")
PDF = (
    "1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj",
    "2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj",
    "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
    "/Resources<</Font<</F1 5 0 R>>>>>>endobj",
    "4 0 obj<</Length {length}>>stream\n{text}\nendstream endobj",
    "5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>endobj",
)
"""The objects of a document of one page (ISO 32000-1 §7.7)."""


@blueprint.get("/<invoice_id>")
def show(invoice_id: str) -> Response:
    invoice = _find(invoice_id)
    return page("invoice", invoice=invoice, status_name=INVOICE_STATUSES[invoice["status"]])


@blueprint.get("/<invoice_id>/pdf")
def download(invoice_id: str) -> Response:
    invoice = _find(invoice_id)
    lines = [
        "Fake Stripe: no real money",
        f"Invoice {invoice['number']}, {day(invoice['created'])}",
        *(f"{line['description']}: {money(line['amount'])}" for line in invoice["lines"]["data"]),
        f"Total: {money(invoice['total'])} ({INVOICE_STATUSES[invoice['status']]})",
    ]
    headers = {"Content-Disposition": f'attachment; filename="{invoice["number"]}.pdf"'}
    return Response(pdf(lines), mimetype="application/pdf", headers=headers)


def _find(invoice_id: str) -> Document:
    """Return an invoice that is no draft. Raises NotFound."""
    try:
        invoice = state().journal.find("invoice", invoice_id)
    except FakeStripeError:
        raise NotFound from None
    if invoice["status"] == "draft":
        raise NotFound
    return invoice


def pdf(lines: list[str]) -> bytes:
    """Return a PDF of one page with these lines."""
    shown = "".join(f"({_escaped(line)}) Tj T* " for line in lines)
    text = f"BT /F1 12 Tf 18 TL 72 770 Td {shown}ET"
    length = len(text.encode("cp1252"))
    document, offsets = b"%PDF-1.4\n", []
    for part in PDF:
        offsets.append(len(document))
        document += (
            f"{part}\n".replace("{length}", str(length)).replace("{text}", text).encode("cp1252")
        )
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(PDF) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer<</Size {size}/Root 1 0 R>>\n"
    return document + f"{end}startxref\n{len(document)}\n%%EOF\n".encode()


def _escaped(line: str) -> str:
    """The line as a PDF string, without what Helvetica lacks; parentheses would end it."""
    known = line.replace("−", "-").encode("cp1252", "replace").decode("cp1252")
    return known.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
