"""Mail by SMTP, against a real server."""

from collections.abc import Iterator
from dataclasses import replace
from email.headerregistry import Address
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext, create_default_context
from typing import Any

import pytest
import trustme

from app.adapters.mail import (
    MailNotSent,
    MailRefused,
    OutgoingMail,
    SmtpMailer,
    warn_without_mail,
)
from app.config import Settings
from app.settings_types import MailServer as Where
from tests.adapters.mail_server import MailServer, running_mail_server
from tests.clock import NOON

SENDER = Address("Lightwell", addr_spec="mail@lightwell.example")
MAIL = OutgoingMail(
    id="mail_1",
    recipient="ada@example.com",
    subject="Grüße an Ada 🌅",
    text="Öffne https://example.com/x\n",
    html="<p>Öffne</p>",
    written_at=NOON,
)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with running_mail_server() as running:
        yield running


def mailer(server: MailServer, user: str = "", *, is_encrypted: bool = False) -> SmtpMailer:
    where = Where("127.0.0.1", server.port, user, "sesame" * bool(user), is_encrypted)
    return SmtpMailer(where, SENDER, lambda: trusting)


authority = trustme.CA()
trusting = create_default_context()
authority.configure_trust(trusting)


def certified() -> SSLContext:
    context = SSLContext(PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_a_mail_arrives_as_text_and_html(server: MailServer) -> None:
    mailer(server).send(MAIL)
    (mail,) = server.mails
    assert server.recipients == ["ada@example.com"]
    assert (mail["From"], mail["To"]) == ("Lightwell <mail@lightwell.example>", "ada@example.com")
    assert mail["Subject"] == "Grüße an Ada 🌅"
    assert mail["Date"].datetime == NOON
    assert mail["Message-ID"] == "<mail_1@lightwell.example>"
    text, html = (mail.get_body([kind]) for kind in ("plain", "html"))
    assert text
    assert html
    assert text.get_content().splitlines() == MAIL.text.splitlines()
    assert html.get_content().strip() == MAIL.html


def test_a_mail_that_is_sent_twice_has_one_id(server: MailServer) -> None:
    for _ in range(2):
        mailer(server).send(MAIL)
    assert len({mail["Message-ID"] for mail in server.mails}) == 1


@pytest.mark.parametrize("recipient", ["jürgen@bücher.example", "ada@bücher.example"])
def test_addresses_beyond_ascii(server: MailServer, recipient: str) -> None:
    mailer(server).send(replace(MAIL, recipient=recipient))
    assert server.recipients == [recipient.replace("bücher", "xn--bcher-kva")]


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Hello\r\nBcc: eve@example.com"},
        {"subject": "Hello\nX-Y: z"},
        {"recipient": "ada@example.com\r\nBcc: eve@example.com"},
        {"recipient": "ada@example.com\n.example"},
        {"recipient": "ada"},
    ],
)
def test_headers_can_t_be_injected(server: MailServer, changes: dict[str, Any]) -> None:
    with pytest.raises(MailRefused):
        mailer(server).send(replace(MAIL, **changes))
    assert server.mails == []


def test_a_list_of_addresses_is_not_several_recipients(server: MailServer) -> None:
    mailer(server).send(replace(MAIL, recipient="eve@example.com, ada@example.com"))
    assert server.recipients == ['"eve@example.com, ada"@example.com']
    assert len(server.mails[0]["To"].addresses) == 1


@pytest.mark.parametrize("step", ["rcpt", "data"])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("550 5.1.1 no such mailbox", MailRefused),
        ("554 5.7.1 no such mail here", MailRefused),
        ("451 4.7.1 come back later", MailNotSent),
        ("452 4.2.2 the mailbox is full", MailNotSent),
    ],
)
def test_refusals_for_good_and_for_now(
    server: MailServer, step: str, answer: str, error: type[Exception]
) -> None:
    setattr(server, step, answer)
    with pytest.raises(error, match=answer[:9]):
        mailer(server).send(MAIL)


def test_a_server_that_is_not_there_may_be_later() -> None:
    with pytest.raises(MailNotSent, match="ConnectionRefusedError"):
        mailer(MailServer()).send(MAIL)


@pytest.mark.parametrize("is_encrypted", [True, False], ids=["smtps", "starttls"])
def test_the_connection_is_encrypted_and_the_password_right(is_encrypted: bool) -> None:
    options: dict[str, Any] = (
        {"ssl_context": certified(), "auth_require_tls": False}  # it knows TLS by STARTTLS only
        if is_encrypted
        else {"tls_context": certified(), "require_starttls": True, "auth_required": True}
    )
    with running_mail_server(**options) as server:
        with pytest.raises(MailNotSent, match="SMTPAuthenticationError"):
            mailer(server, "lightwell", is_encrypted=is_encrypted).send(MAIL)
        server.accounts.add((b"lightwell", b"sesame"))
        mailer(server, "lightwell", is_encrypted=is_encrypted).send(MAIL)
        assert len(server.mails) == 1


def test_a_password_is_not_sent_without_encryption(server: MailServer) -> None:
    server.accounts.add((b"lightwell", b"sesame"))
    with pytest.raises(MailNotSent, match="no encryption"):
        mailer(server, "lightwell").send(MAIL)


def test_a_server_that_nobody_vouches_for_gets_nothing() -> None:
    with running_mail_server(tls_context=certified()) as server:
        where = Where("127.0.0.1", server.port, "", "", False)
        with pytest.raises(MailNotSent, match="SSLCertVerificationError"):
            SmtpMailer(where, SENDER).send(MAIL)
        assert server.mails == []


@pytest.mark.parametrize(
    ("given", "warns"),
    [
        ({"app_env": "development"}, False),
        ({"app_env": "production"}, True),
        (
            {
                "app_env": "production",
                "public_url": "https://example.com",
                "smtp_url": "smtp://mail.example.com",
                "mail_from": "mail@example.com",
            },
            False,
        ),
    ],
)
def test_production_without_a_mail_server_says_what_will_not_work(
    given: dict[str, str], warns: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    needed = {"secret_key": "s" * 32, "redis_url": "redis://cache", "data_dir": tmp_path}
    warn_without_mail(Settings.model_validate({**needed, **given}))
    assert ("nobody can confirm an address" in caplog.text) is warns
    assert len(caplog.records) == warns
