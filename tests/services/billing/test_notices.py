"""What pages say about payments."""

from datetime import UTC, datetime, timedelta

import pytest

from app.models import BillingAccount, Organization
from app.services.billing.notices import notices_of

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WEEK = timedelta(days=7)


def said(account: BillingAccount | None = None, **organization: object) -> list[tuple[str, str]]:
    """The first words of each notice, and its button."""
    found = notices_of(Organization(**{"plan_code": "TEAM", **organization}), account, NOW)
    return [(f"{notice.kind}: {notice.text}", notice.button) for notice in found]


def account(status: str, **values: object) -> BillingAccount:
    return BillingAccount(status=status, **values)


def test_who_pays_in_time_reads_nothing() -> None:
    assert said() == []
    assert said(account("active", plan_code="TEAM")) == []


@pytest.mark.parametrize(
    ("organization", "words"),
    [
        ({"plan_lapses_at": NOW + WEEK}, "Pay by 27 Nov 2026, or the Team plan stops then."),
        ({"plan_lapses_at": NOW}, "your paid plan has stopped"),
        ({"plan_lapses_at": NOW - WEEK}, "your paid plan has stopped"),
        (
            {"plan_lapses_at": NOW + WEEK, "granted_plan_code": "TEAM"},
            "The card is tried again during the next days.",
        ),
    ],
)
def test_an_overdue_payment(organization: dict[str, object], words: str) -> None:
    ((text, button),) = said(account("past_due", plan_code="TEAM"), **organization)
    assert text.startswith("bad: The last payment failed")
    assert words in text
    assert button == "Pay or change the card"


def test_a_plan_that_was_cancelled() -> None:
    leaving = account("active", plan_code="TEAM", cancel_at=NOW + WEEK)
    ((text, button),) = said(leaving)
    assert text.startswith("light: You have cancelled: the Team plan lasts until 27 Nov 2026, then")
    assert "you are on Free." in text
    assert button == "Keep the plan"
    assert said(account("unpaid", cancel_at=NOW + WEEK)) == []
    ((text, _),) = said(leaving, granted_plan_code="TEAM")
    assert "you are on Team." in text


def test_subscriptions_that_do_not_run() -> None:
    assert said(account("paused")) == [("bad: Your subscription is paused.", "Take it up again")]
    ((text, button),) = said(account("incomplete"))
    assert (text[:27], button) == ("light: The first payment wa", "Try another card")
