"""The outbox: every mail arrives, whatever the server says and whenever a worker dies."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import delete

from app.adapters.mail import MailNotSent, MailRefused, OutgoingMail
from app.extensions import transaction
from app.models import Mail
from app.services import mail, outbox
from app.services.sweep import sweep
from tests.clock import Clock
from tests.databases import on_both_databases

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]
SECRET_LINK = "https://example.com/confirm/hunter2"


class RecordingMailer:
    """Does what a test says for each mail, then keeps it."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.act: Callable[[OutgoingMail], None] = lambda _mail: None

    def send(self, mail: OutgoingMail) -> None:
        self.act(mail)
        self.sent.append(mail.id)

    def fails_with(self, error: BaseException) -> None:
        def fail(_mail: OutgoingMail) -> None:
            raise error

        self.act = fail


class Killed(BaseException):
    """What a killed worker raises: nothing of ours catches it."""


@pytest.fixture
def mailer(app: Flask) -> RecordingMailer:
    """With an empty outbox."""
    with transaction() as session:
        session.change(delete(Mail))
    return RecordingMailer()


def write(clock: Clock, to: str = "ada@example.com") -> str:
    with transaction() as session:
        mail.queue(session, to, "test", clock(), site=SECRET_LINK)
        session.flush()
        return outbox.recent(session, 1)[0].id


def look(mail_id: str) -> Mail:
    with transaction() as session:
        return session.get_one(Mail, mail_id)


def is_due(clock: Clock) -> bool:
    with transaction() as session:
        return outbox.has_due(session, clock())


def test_a_mail_is_sent_once_and_its_secrets_are_erased(
    mailer: RecordingMailer, clock: Clock
) -> None:
    mail_id = write(clock)
    seen: list[OutgoingMail] = []
    mailer.act = seen.append
    outbox.work(mailer, clock)
    outbox.work(mailer, clock)
    assert mailer.sent == [mail_id]
    assert SECRET_LINK in seen[0].text
    assert SECRET_LINK in seen[0].html
    row = look(mail_id)
    assert (row.text, row.html, row.next_attempt_at, row.attempts) == (None, None, None, 1)
    assert row.sent_at is not None
    assert not is_due(clock)


def test_pauses_grow_to_six_hours_and_after_two_days_it_ends(
    mailer: RecordingMailer, clock: Clock
) -> None:
    mail_id = write(clock)
    began = clock()
    mailer.fails_with(MailNotSent("451 come back later"))
    pauses = []
    while due := look(mail_id).next_attempt_at:
        clock.set(due)
        pauses.append(round((due - began) / timedelta(minutes=1)))
        outbox.work(mailer, clock)
    waits = [later - earlier for earlier, later in pairwise(pauses)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, *[360] * 7]
    row = look(mail_id)
    assert (row.sent_at, row.text, row.html) == (None, None, None)
    assert row.error == "451 come back later"


def test_a_refusal_for_good_ends_it_and_the_others_go_on(
    mailer: RecordingMailer, clock: Clock
) -> None:
    refused, other = write(clock, "nobody@example.com"), write(clock)

    def act(outgoing: OutgoingMail) -> None:
        if outgoing.id == refused:
            raise MailRefused("550 no such mailbox")

    mailer.act = act
    outbox.work(mailer, clock)
    assert mailer.sent == [other]
    row = look(refused)
    assert (row.next_attempt_at, row.text, row.html) == (None, None, None)
    assert row.error == "550 no such mailbox"


def test_a_server_that_is_down_is_left_alone_until_the_next_job(
    mailer: RecordingMailer, clock: Clock
) -> None:
    first, second = write(clock), write(clock)
    mailer.fails_with(MailNotSent("timed out"))
    outbox.work(mailer, clock)
    assert [look(one).attempts for one in (first, second)] == [1, 0]
    mailer.act = lambda _mail: None
    clock.advance(minutes=1)
    outbox.work(mailer, clock)
    assert mailer.sent == [second, first]


def test_a_defect_does_not_keep_the_others_waiting(mailer: RecordingMailer, clock: Clock) -> None:
    odd, other = write(clock), write(clock)

    def act(outgoing: OutgoingMail) -> None:
        if outgoing.id == odd:
            raise ZeroDivisionError

    mailer.act = act
    outbox.work(mailer, clock)
    assert mailer.sent == [other]
    assert look(odd).next_attempt_at is not None


@pytest.mark.parametrize("after_sending", [False, True])
def test_the_mail_of_a_killed_worker_is_sent_by_another(
    mailer: RecordingMailer, clock: Clock, after_sending: bool
) -> None:
    """One that dies between sending and writing so sends it a second time."""
    mail_id = write(clock)

    def act(outgoing: OutgoingMail) -> None:
        if after_sending:
            mailer.sent.append(outgoing.id)
        raise Killed

    mailer.act = act
    with pytest.raises(Killed):
        outbox.work(mailer, clock)
    mailer.act = lambda _mail: None
    assert not is_due(clock)
    clock.advance(seconds=outbox.LEASE.total_seconds())
    assert is_due(clock)
    outbox.work(mailer, clock)
    assert mailer.sent == [mail_id] * (1 + after_sending)
    assert look(mail_id).attempts == 2


def test_two_workers_share_the_mails(app: Flask, mailer: RecordingMailer, clock: Clock) -> None:
    written = {write(clock) for _ in range(12)}
    together = Barrier(2)

    def work() -> None:
        with app.app_context():
            together.wait()
            outbox.work(mailer, clock)

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(work) for _ in range(2)]:
            done.result()
    assert sorted(mailer.sent) == sorted(written)


def test_a_worker_that_was_taken_for_dead_does_not_undo_what_another_did(
    mailer: RecordingMailer, clock: Clock
) -> None:
    mail_id = write(clock)
    other = RecordingMailer()

    def act(_mail: OutgoingMail) -> None:
        clock.advance(seconds=outbox.LEASE.total_seconds())
        outbox.work(other, clock)
        raise MailNotSent("too slow")

    mailer.act = act
    outbox.work(mailer, clock)
    assert other.sent == [mail_id]
    row = look(mail_id)
    assert row.sent_at is not None
    assert row.next_attempt_at is None


def test_a_job_leaves_others_their_turn(mailer: RecordingMailer, clock: Clock) -> None:
    for _ in range(4):
        write(clock)
    mailer.act = lambda _mail: clock.advance(seconds=25)
    outbox.work(mailer, clock)
    assert len(mailer.sent) == 3


def test_a_mail_that_nobody_could_send_for_two_days_is_not_sent(
    mailer: RecordingMailer, clock: Clock
) -> None:
    mail_id = write(clock)
    clock.advance(days=2)
    outbox.work(mailer, clock)
    assert mailer.sent == []
    assert (look(mail_id).text, look(mail_id).error) == (None, "not tried in time")


def test_the_log_holds_neither_addresses_nor_links(
    mailer: RecordingMailer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    said = f"550 <ada@example.com> refused, see {SECRET_LINK}"
    for act in (MailRefused(said), MailNotSent(said)):
        mail_id = write(clock)
        mailer.fails_with(act)
        outbox.work(mailer, clock)
        assert mail_id in caplog.text
        assert "hunter2" not in str(look(mail_id).error)
    assert "550 … refused, see …" in caplog.text
    assert "example.com" not in caplog.text


def test_mails_are_swept_after_thirty_days(
    app: Flask, mailer: RecordingMailer, clock: Clock
) -> None:
    write(clock)
    container = app.extensions["lightwell"]
    for days, swept in ((29.9, 0), (0.2, 1)):
        clock.advance(days=days)
        found = sweep(container.storage, container.settings.spool_dir, clock())
        assert found["mails"] == swept
