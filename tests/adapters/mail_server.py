"""A real mail server on loopback, which keeps what it gets and refuses what it is told to."""

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from dev.ports import free_port

OK = "250 OK"


class MailServer:
    """``rcpt`` and ``data`` are its answers to a recipient and to a mail."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.rcpt = self.data = OK
        self.accounts: set[tuple[bytes, bytes]] = set()
        self.port = free_port()

    async def handle_RCPT(
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if self.rcpt == OK:
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.data == OK:
            mail = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
            self.recipients += envelope.rcpt_tos
        return self.data

    def knows(self, _server: Any, _session: Any, _envelope: Any, _how: str, data: Any) -> Any:
        """Whether a user and password are right."""
        assert isinstance(data, LoginPassword)
        return AuthResult(success=(data.login, data.password) in self.accounts, handled=False)


@contextmanager
def running_mail_server(**options: Any) -> Iterator[MailServer]:
    """``options`` are those of aiosmtpd's server."""
    server = MailServer()
    controller = Controller(server, "127.0.0.1", server.port, authenticator=server.knows, **options)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
