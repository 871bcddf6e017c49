"""The settings page: name, preferences, allowed hosts."""

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.models import AllowedHost, AuditEntry, Organization, Role
from app.services.library import allowed_hosts
from tests.client import ApiClient
from tests.conftest import Account, SignIn
from tests.forms import post, text_of


@pytest.fixture
def owner(acme: Account, sign_in: SignIn) -> ApiClient:
    return sign_in(acme, Role.OWNER)


def organization(app: Flask, account: Account) -> Organization:
    with app.app_context(), transaction() as session:
        return session.get_one(Organization, account.org_id)


def hosts(app: Flask, account: Account) -> list[str]:
    with app.app_context(), transaction(account.org_id) as session:
        return list(session.scalars(select(AllowedHost.host)))


def last_entry(app: Flask, account: Account) -> AuditEntry:
    with app.app_context(), transaction(account.org_id) as session:
        return session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()


def test_an_owner_chooses_zone_format_and_quality(
    app: Flask, acme: Account, owner: ApiClient
) -> None:
    chosen = {"timeZone": "America/Sao_Paulo", "quality": "71", "format": "webp"}
    answer = post(owner, f"{acme.home}/settings/preferences", **chosen)
    assert answer.status_code == 303
    row = organization(app, acme)
    found = (row.time_zone, row.default_quality, row.default_format)
    assert found == ("America/Sao_Paulo", 71, "webp")
    entry = last_entry(app, acme)
    assert (entry.action, entry.actor_id) == ("settings.changed", owner.user_id)
    assert entry.before == {"timeZone": "UTC", "defaultQuality": 80, "defaultFormat": None}
    assert entry.address == "127.0.0.1"
    page = owner.get(answer.headers["Location"]).text
    assert "The preferences were saved." in page
    assert '<option value="America/Sao_Paulo" selected>America/Sao Paulo</option>' in page
    post(owner, f"{acme.home}/settings/preferences", **(chosen | {"format": ""}))
    assert organization(app, acme).default_format is None


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("timeZone", "Mars/Olympus", "Choose a time zone of the list"),
        ("timeZone", "../../etc/passwd", "Choose a time zone of the list"),
        ("quality", "0", "Choose a whole number from 1 to 100."),
        ("quality", "101", "Choose a whole number from 1 to 100."),
        ("quality", "80.5", "Choose a whole number from 1 to 100."),
        ("quality", "٨٠", "Choose a whole number from 1 to 100."),
        ("quality", "", "Choose a whole number from 1 to 100."),
        ("format", "bmp", "Choose one of the list."),
    ],
)
def test_what_is_wrong_stands_at_its_field(
    app: Flask, acme: Account, owner: ApiClient, field: str, value: str, problem: str
) -> None:
    typed = {"timeZone": "Europe/Madrid", "quality": "60", "format": "avif", field: value}
    answer = post(owner, f"{acme.home}/settings/preferences", **typed)
    assert answer.status_code == 400
    page = text_of(answer)
    assert page.count("aria-invalid") == 1
    before = page.partition(problem)[0]
    assert f'id="field-{field}-error"' in before[-400:]
    assert organization(app, acme).time_zone == "UTC"


def test_renaming_leads_to_the_new_path(app: Flask, acme: Account, owner: ApiClient) -> None:
    assert f"http://localhost{acme.home}." in owner.get(f"{acme.home}/settings").text
    slug = f"new-{acme.slug[5:25]}"
    answer = post(owner, f"{acme.home}/settings/name", name="Globex & Sons", slug=slug)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/dashboard/{slug}/settings")
    assert "Globex & Sons" in text_of(owner.get(answer.headers["Location"]))
    refused = post(owner, f"/dashboard/{slug}/settings/name", name="", slug=slug)
    assert refused.status_code == 400
    assert 'id="field-name-error"' in refused.text
    taken = post(owner, f"/dashboard/{slug}/settings/name", name="A", slug="new")
    assert taken.status_code == 409
    assert 'id="field-slug-error"' in taken.text


def test_hosts_are_allowed_and_removed(app: Flask, acme: Account, sign_in: SignIn) -> None:
    admin = sign_in(acme, Role.ADMIN)
    answer = post(admin, f"{acme.home}/settings/hosts", host=" Images.Example.COM ")
    assert answer.status_code == 303
    assert hosts(app, acme) == ["images.example.com"]
    assert last_entry(app, acme).after == {"host": "images.example.com"}
    post(admin, f"{acme.home}/settings/hosts", host="images.example.com")
    assert "Remove images.example.com" in admin.get(f"{acme.home}/settings").text
    for _ in range(2):
        removed = post(admin, f"{acme.home}/settings/hosts/remove", host="images.example.com")
        assert removed.status_code == 303
    assert hosts(app, acme) == []
    assert last_entry(app, acme).action == "host.removed"


def test_a_host_must_be_a_name_and_there_are_a_hundred_at_most(
    app: Flask, acme: Account, owner: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host in ("", "10.0.0.1", "localhost", "https://a.example.com/", "a" * 400):
        answer = post(owner, f"{acme.home}/settings/hosts", host=host)
        assert answer.status_code == 400, host
        assert 'id="field-host-error"' in answer.text
    monkeypatch.setattr(allowed_hosts, "MAX_HOSTS", 1)
    post(owner, f"{acme.home}/settings/hosts", host="a.example.com")
    refused = post(owner, f"{acme.home}/settings/hosts", host="b.example.com")
    assert refused.status_code == 409
    assert hosts(app, acme) == ["a.example.com"]


def test_others_read_what_they_may_not_change(acme: Account, sign_in: SignIn) -> None:
    page = sign_in(acme, Role.VIEWER).get(f"{acme.home}/settings")
    assert page.status_code == 200
    assert "Europe" not in page.text
    assert f'action="{acme.home}/settings' not in page.text
    assert "Delete" not in page.text
    admin = sign_in(acme, Role.ADMIN).get(f"{acme.home}/settings").text
    assert "Allow host" in admin
    assert "Save preferences" not in admin
