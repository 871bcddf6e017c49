"""The fake Stripe's invoices, as a page and as a file."""

from flask import Flask

from dev.stripe.catalogue import PRICES
from dev.stripe.invoice_pages import pdf
from dev.stripe.payment_objects import InvoiceLine
from dev.stripe.state import FakeStripe
from tests.dev.stripe.page_driver import PageDriver

A_LINE = InvoiceLine(PRICES["price_team_month"], "si_1", "A line", 2900, 0, 1)


def test_an_invoice_has_a_page_and_a_file(
    fake_stripe: Flask, state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    state.subscriptions.create(customer_id, ["price_team_month"])
    (invoice,) = state.journal.all("invoice", customer_id)
    page = page_driver.visit(f"/invoices/{invoice['id']}").page
    assert f"Invoice {invoice['number']}" in page.text
    assert "Total $29.00 , paid" in page.text
    file = fake_stripe.test_client().get(page.links["Download as PDF"])
    assert (file.mimetype, file.data[:8], file.data[-6:]) == (
        "application/pdf",
        b"%PDF-1.4",
        b"%%EOF\n",
    )
    assert f"Invoice {invoice['number']}, 20 November 2026".encode() in file.data
    table = file.data.index(b"xref\n")
    assert file.data.endswith(f"startxref\n{table}\n%%EOF\n".encode())


def test_drafts_and_unknown_invoices_have_no_page(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    subscription = state.subscriptions.create(customer_id, ["price_team_month"])
    draft = state.invoices.issue(subscription, "subscription_cycle", [A_LINE], final=False)
    for invoice_id in (draft["id"], "in_none"):
        for path in (f"/invoices/{invoice_id}", f"/invoices/{invoice_id}/pdf"):
            assert page_driver.visit(path).answer.status_code == 404


def test_a_line_of_a_file_may_hold_anything() -> None:
    line = pdf(["(a) \\ −€ 日本"])
    assert rb"(\(a\) \\ -" + b"\x80 ??) Tj" in line
