"""``/dev/mail``: what a development server would have sent."""

import re
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import delete

from app.config import Settings
from app.extensions import transaction
from app.factory import create_app
from app.models import Mail
from app.services import mail, outbox
from tests.client import ApiClient
from tests.clock import Clock

MAIL_SERVER = {"smtp_url": "smtp://mail.example.com", "mail_from": "mail@example.com"}


@pytest.fixture
def mail_id(app: Flask, clock: Clock) -> str:
    """The newer of two mails."""
    with app.app_context(), transaction() as session:
        session.change(delete(Mail))
        for name in ("old", "new"):
            mail.queue(session, f"{name}@example.com", "test", clock(), site="http://<b>.example")
        session.flush()
        return outbox.recent(session, 1)[0].id


def test_programs_read_it_newest_first(client: ApiClient, mail_id: str) -> None:
    found = client.get("/dev/mail.json").json
    assert [one["to"] for one in found] == ["new@example.com", "old@example.com"]
    assert set(found[0]) == {"to", "subject", "text", "html", "sentAt"}
    assert found[0]["sentAt"] == "2026-11-20T12:00:00Z"
    assert "http://<b>.example" in found[0]["text"]
    assert "http://&lt;b&gt;.example" in found[0]["html"]


def test_people_read_it(client: ApiClient, mail_id: str) -> None:
    listed = client.get("/dev/mail")
    assert re.findall(r"(\w+)@example.com", listed.text) == ["new", "old"]
    assert f'href="/dev/mail/{mail_id}"' in listed.text
    shown = client.get(f"/dev/mail/{mail_id}")
    assert "Mail from" in shown.text
    assert "<b>.example" not in shown.text
    assert client.get("/dev/mail/mail_unknown").status_code == 404


def test_a_mail_s_html_is_a_page_without_rights(client: ApiClient, mail_id: str) -> None:
    answer = client.get(f"/dev/mail/{mail_id}/html")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert '<base target="_top">' in answer.text


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ({"app_env": "development"}, True),
        ({"app_env": "development", **MAIL_SERVER}, False),
        ({"app_env": "production"}, False),
        ({"app_env": "production", "public_url": "https://example.com", **MAIL_SERVER}, False),
    ],
)
def test_only_development_without_a_mail_server_has_it(
    given: dict[str, str], there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.logs.configure", lambda _settings: None)  # it is the process's
    needed = {"secret_key": "s" * 32, "redis_url": "redis://127.0.0.1:1", "data_dir": tmp_path}
    app = create_app(Settings.model_validate({**needed, **given}))
    assert any(rule.rule.startswith("/dev") for rule in app.url_map.iter_rules()) is there
