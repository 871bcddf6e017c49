"""Mail on its way out, by SMTP."""

import smtplib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from functools import partial
from ssl import SSLContext
from typing import Protocol

import structlog

from app.adapters.fetching.http_client import public_certificates
from app.config import Settings
from app.settings_types import MailServer

log = structlog.get_logger()

TIMEOUT_SECONDS = 20
"""How long the server may take for each of its answers."""


class MailRefused(Exception):
    """This mail will never be delivered: its address does not exist, or the server takes no such
    mail."""


class MailNotSent(Exception):
    """The mail was not sent; it may be later."""


@dataclass(frozen=True)
class OutgoingMail:
    """A mail with its text in two forms. ``id`` becomes its Message-ID, so that clients show it
    once if it was sent twice."""

    id: str
    recipient: str
    subject: str
    text: str
    html: str
    written_at: datetime


class Mailer(Protocol):
    def send(self, mail: OutgoingMail) -> None:
        """Raises MailRefused, MailNotSent."""


class SmtpMailer:
    """Sends each mail over a connection of its own.

    ``smtps://`` is encrypted from the start, ``smtp://`` where the server offers STARTTLS. A
    password is never sent without encryption.
    """

    def __init__(
        self,
        server: MailServer,
        sender: Address,
        tls: Callable[[], SSLContext] = public_certificates,
    ) -> None:
        self._server = server
        self._sender = sender
        self._tls = tls

    def send(self, mail: OutgoingMail) -> None:
        try:
            recipient = _address(mail.recipient)
            message = self._message(mail, recipient)
        except ValueError as error:  # what headers can't hold, such as the end of a line
            raise MailRefused(f"can't be written as a mail: {error}") from error
        try:
            self._deliver(message, recipient.addr_spec)
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise _failure(code, said) from None
        except smtplib.SMTPDataError as error:
            raise _failure(error.smtp_code, error.smtp_error) from None
        except smtplib.SMTPNotSupportedError as error:
            raise MailRefused(str(error)) from None
        except OSError as error:  # smtplib's errors too
            raise MailNotSent(f"{type(error).__name__}: {error}") from None

    def _message(self, mail: OutgoingMail, recipient: Address) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = mail.subject
        message["From"] = self._sender
        message["To"] = recipient
        message["Date"] = format_datetime(mail.written_at)
        message["Message-ID"] = f"<{mail.id}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        return message

    def _deliver(self, message: EmailMessage, recipient: str) -> None:
        server = self._server
        connect = (
            partial(smtplib.SMTP_SSL, context=self._tls()) if server.is_encrypted else smtplib.SMTP
        )
        with connect(server.host, server.port, timeout=TIMEOUT_SECONDS) as connection:
            connection.ehlo()
            if not server.is_encrypted and connection.has_extn("starttls"):
                connection.starttls(context=self._tls())
                connection.ehlo()
            elif not server.is_encrypted and server.user:
                raise MailNotSent("the server offers no encryption, so it gets no password")
            if server.user:
                connection.login(server.user, server.password)
            connection.send_message(message, self._sender.addr_spec, [recipient])


def _address(address: str) -> Address:
    """An address with its domain in ASCII, as all servers understand it. Raises ValueError."""
    local, _, domain = address.rpartition("@")
    return Address(username=local, domain=domain.encode("idna").decode())


def _failure(code: int, said: bytes | str) -> MailRefused | MailNotSent:
    """A server's answer about a recipient or a mail: 5xx is for good (RFC 5321 §4.2.1)."""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return (MailRefused if 500 <= code < 600 else MailNotSent)(f"{code} {text}")


def warn_without_mail(settings: Settings) -> None:
    """Log at the start of a process what does not work in production without a mail server."""
    if settings.app_env == "production" and settings.smtp_url is None:
        log.warning(
            "mail.not_configured",
            consequence="No mail is sent: nobody can confirm an address, reset a password or "
            "accept an invitation. Set SMTP_URL and MAIL_FROM.",
        )
