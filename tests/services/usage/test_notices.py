"""Owners get a mail at 80 and at 100 % of the plan and of each cap: once each a month."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.extensions import transaction
from app.models import Mail, Role, UsageCounter
from app.services.accounts import keys
from app.services.accounts.principal import Principal
from app.services.usage import caps, notices, reservations
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, SignIn
from tests.databases import on_both_databases
from tests.services.usage.test_caps import owner_of

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]
SITE = "https://lightwell.example"


@pytest.fixture
def account(context: None, make_account: AccountMaker) -> Account:
    return make_account(monthly_images=10)


def use(account: Account, images: int, clock: Clock) -> Principal:
    principal = keys.authenticate(account.key, clock())
    with transaction(account.org_id) as session:
        reserved = reservations.reserve(session, principal, "image", images, clock())
        reservations.settle(session, reserved, images)
    return principal


def mails(account: Account, clock: Clock) -> list[str]:
    """The subjects of what its owner got, after a sweep."""
    notices.send_due(SITE, clock())
    with transaction() as session:
        found = session.scalars(
            select(Mail.subject)
            .where(Mail.recipient == account.email, Mail.subject.contains("% of", autoescape=True))
            .order_by(Mail.id)
        )
        return [subject.partition(":")[0] for subject in found]


def test_the_plan_s_marks_are_told_once_each(account: Account, clock: Clock) -> None:
    use(account, 7, clock)
    assert mails(account, clock) == []
    use(account, 1, clock)
    eighty = "80 % of the plan's images used"
    assert mails(account, clock) == [eighty]
    use(account, 1, clock)
    assert mails(account, clock) == [eighty]
    use(account, 1, clock)
    hundred = "100 % of the plan's images used"
    assert mails(account, clock) == mails(account, clock) == [eighty, hundred]


def test_the_images_of_the_largest_month_are_not_too_many(account: Account, clock: Clock) -> None:
    """One organization that made very many must not keep the mails from all others."""
    use(account, 9, clock)
    with transaction(account.org_id) as session:
        session.change(update(UsageCounter).values(used=2_000_000_000))
    assert mails(account, clock) == ["100 % of the plan's images used"]


def test_who_passes_both_marks_at_once_gets_one_mail(account: Account, clock: Clock) -> None:
    use(account, 10, clock)
    assert mails(account, clock) == ["100 % of the plan's images used"]


def test_each_month_is_told_anew(account: Account, clock: Clock) -> None:
    use(account, 8, clock)
    assert len(mails(account, clock)) == 1
    clock.set(datetime(2026, 12, 1, tzinfo=UTC))
    assert len(mails(account, clock)) == 1
    use(account, 8, clock)
    assert len(mails(account, clock)) == 2


def test_caps_have_marks_of_their_own(account: Account, clock: Clock) -> None:
    principal = use(account, 4, clock)
    with transaction(account.org_id) as session:
        caps.set_for_organization(session, owner_of(principal), 5, clock())
        caps.set_for_key(session, owner_of(principal), principal.actor.id, 4, clock())
    assert sorted(mails(account, clock)) == [
        "100 % of a key's spend cap used",
        "80 % of the spend cap used",
    ]


def test_all_owners_are_told_and_only_they(
    app: Flask, account: Account, sign_in: SignIn, clock: Clock
) -> None:
    owner = sign_in(account, Role.OWNER).user_id
    sign_in(account, Role.ADMIN)
    use(account, 8, clock)
    with transaction() as session:
        before = session.scalars(select(Mail.id)).all()
    notices.send_due(SITE, clock())
    with transaction() as session:
        new = session.scalars(select(Mail).where(Mail.id.not_in(before))).all()
        mine = [mail for mail in new if account.slug in (mail.text or "")]
    assert owner
    assert len(mine) == 2
    assert account.email in {mail.recipient for mail in mine}
    assert all(f"{SITE}/dashboard/{account.slug}/usage" in str(mail.html) for mail in mine)
    assert "has made 8 of the 10 images\nthat its plan includes this month." in str(mine[0].text)
    assert "refused until 1 Dec 2026 (UTC)" in str(mine[0].text)


def test_two_sweeps_at_once_send_one_mail(account: Account, clock: Clock) -> None:
    """Both have found the same mark before either told it."""
    use(account, 8, clock)
    with transaction(account.org_id) as session:
        assert session.scalar(select(UsageCounter.used)) == 8
    mark = notices.Due(account.org_id, "plan 80", None, 8, 10)
    for told in (1, 0):
        with transaction(account.org_id) as session:
            assert notices.tell(session, [mark], SITE, clock()) == told
    assert len(mails(account, clock)) == 1
