"""Sends what is in the outbox.

A job takes one mail after the other. It sets ``next_attempt_at`` to the end of a lease before it
sends, so that another job leaves the mail alone, and a killed one's mail is taken again: mails
arrive at least once.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import ColumnElement, Update, delete, exists, select, update

from app.adapters.mail import Mailer, MailNotSent, MailRefused, OutgoingMail
from app.adapters.queue import enqueue_mails
from app.errors import Conflict, NotFound
from app.extensions import transaction
from app.models import Mail
from app.tenancy import TenantSession

log = structlog.get_logger()

LEASE = timedelta(minutes=3)
"""Longer than a slow server takes for one mail."""
FIRST_PAUSE = timedelta(minutes=1)
MAX_PAUSE = timedelta(hours=6)
GIVEN_UP_AFTER = timedelta(days=2)
"""A mail is tried for this long; most of what it is about has passed by then."""
RETENTION = timedelta(days=30)
LONGEST_JOB = timedelta(minutes=1)
ERROR_CHARACTERS = 500
OVER: dict[str, None] = {"text": None, "html": None, "next_attempt_at": None}
"""The values of a mail that will not be sent any more: the links in its bodies are secrets."""


def has_due(session: TenantSession, now: datetime) -> bool:
    return bool(session.scalar(select(exists().where(_is_due(now)))))


def enqueue(connection: Redis) -> None:
    """Enqueue a job for the due mails. If the queue does not answer, the worker asks again."""
    try:
        enqueue_mails(connection)
    except RedisError as error:
        log.warning("mail.not_enqueued", error=str(error))


def work(mailer: Mailer, clock: Callable[[], datetime]) -> None:
    """Send due mails until none is due, the server takes none, or other jobs should have their
    turn; the worker enqueues the job again."""
    end = clock() + LONGEST_JOB
    while (now := clock()) < end and (mail := _lease_next(now)):
        if not _send(mailer, mail, clock):
            return


def recent(session: TenantSession, most: int) -> Sequence[Mail]:
    """The mails that were written last, the newest first."""
    return session.scalars(select(Mail).order_by(Mail.id.desc()).limit(most)).all()


def try_now(session: TenantSession, mail_id: str, recipient: str, now: datetime) -> Mail:
    """Try a mail that waits for its next attempt without waiting. One that is tried within
    ``LEASE`` anyway, as one that is being sent, is left. Raises NotFound, Conflict."""
    found = select(Mail).where(Mail.id == mail_id, Mail.recipient == recipient)
    if (mail := session.scalar(found)) is None:
        raise NotFound("There is no such mail.")
    if mail.next_attempt_at is None:
        raise Conflict(
            "This mail was sent." if mail.sent_at else
            "This mail was given up, and its text erased. Send a new one."
        )  # fmt: skip
    waiting = update(Mail).where(Mail.id == mail.id, Mail.next_attempt_at > now + LEASE)
    if not session.change(waiting.values(next_attempt_at=now)):
        raise Conflict("This mail is being sent, or will be within minutes.")
    return mail


def release_expired(session: TenantSession, now: datetime) -> int:
    """Delete mails that are older than 30 days. Returns how many."""
    return session.change(delete(Mail).where(Mail.created_at <= now - RETENTION))


def _lease_next(now: datetime) -> Mail | None:
    """Take the mail that is due longest, so that other jobs leave it alone, and count the attempt.
    None if none is due."""
    while True:
        with transaction() as session:
            due = select(Mail).where(_is_due(now)).order_by(Mail.next_attempt_at).limit(1)
            if (mail := session.scalar(due)) is None:
                return None
            taken = update(Mail).where(Mail.id == mail.id, _is_due(now))
            if session.change(
                taken.values(next_attempt_at=now + LEASE, attempts=Mail.attempts + 1)
            ):
                session.refresh(mail)
                return mail


def _is_due(now: datetime) -> ColumnElement[bool]:
    return Mail.next_attempt_at <= now


def _send(mailer: Mailer, mail: Mail, clock: Callable[[], datetime]) -> bool:
    """Try once, and record what came of it. Returns False if the server took it neither now nor
    for good."""
    if clock() >= mail.created_at + GIVEN_UP_AFTER:
        _give_up(mail, mail.error or "not tried in time")
        return True
    try:
        mailer.send(outgoing(mail))
    except MailRefused as error:
        _give_up(mail, _without_secrets(str(error)))
    except MailNotSent as error:
        _postpone(mail, clock(), _without_secrets(str(error)))
        return False
    except Exception as error:  # one that goes wrong must not keep the others waiting
        log.exception("mail.defect", mail=mail.id)
        _postpone(mail, clock(), type(error).__name__)
    else:
        sent = update(Mail).where(Mail.id == mail.id)
        with transaction() as session:
            session.change(sent.values(sent_at=clock(), error=None, **OVER))
        log.info("mail.sent", mail=mail.id, attempts=mail.attempts)
    return True


def outgoing(mail: Mail) -> OutgoingMail:
    """A mail as the mailer takes it."""
    return OutgoingMail(
        id=mail.id,
        recipient=mail.recipient,
        subject=mail.subject,
        text=mail.text or "",
        html=mail.html or "",
        written_at=mail.created_at,
    )


def _without_secrets(said: str) -> str:
    """What a server said, without addresses and without links of the mail, which it may repeat."""
    return re.sub(r"\S+@\S+|https?://\S+", "…", said)[:ERROR_CHARACTERS]


def _postpone(mail: Mail, now: datetime, reason: str) -> None:
    """Schedule another attempt, after a longer pause each time."""
    pause = min(FIRST_PAUSE * 2 ** min(mail.attempts - 1, 10), MAX_PAUSE)
    log.warning("mail.postponed", mail=mail.id, attempts=mail.attempts, error=reason)
    with transaction() as session:
        session.change(_held(mail).values(next_attempt_at=now + pause, error=reason))


def _give_up(mail: Mail, reason: str) -> None:
    log.warning("mail.given_up", mail=mail.id, attempts=mail.attempts, error=reason)
    with transaction() as session:
        session.change(_held(mail).values(error=reason, **OVER))


def _held(mail: Mail) -> Update:
    """An update of the mail that applies unless another job has taken it since."""
    return update(Mail).where(Mail.id == mail.id, Mail.attempts == mail.attempts)
