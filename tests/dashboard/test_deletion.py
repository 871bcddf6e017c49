"""The deletion of an organization, from its page: what is lost, the name, the way back."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.models import AuditEntry, Organization, Role, User
from app.services.deletion import erasure
from tests.client import Answer, ApiClient, bearer
from tests.clock import NOON, Clock
from tests.conftest import Account, SignIn
from tests.databases import on_both_databases
from tests.forms import post, text_of
from tests.images import encoded
from tests.people import PASSWORD
from tests.team import add_invitation, email_of, mails_to
from tests.workspace import upload


@dataclass
class Case:
    app: Flask
    account: Account
    owner: ApiClient

    @property
    def path(self) -> str:
        return f"{self.account.home}/settings/delete"

    def rename(self, name: str) -> None:
        with self.app.app_context(), transaction() as session:
            session.get_one(Organization, self.account.org_id).name = name

    def ask(self, name: str = "Nordlicht Studio") -> Answer:
        return post(self.owner, self.path, name=name)

    def take_back(self) -> Answer:
        return post(self.owner, f"{self.path}/undo")

    @property
    def delete_at(self) -> datetime | None:
        with self.app.app_context(), transaction() as session:
            return session.get_one(Organization, self.account.org_id).delete_at

    def subjects(self, client: ApiClient) -> list[str]:
        email = email_of(self.app, client.user_id)
        return [mail.subject for mail in mails_to(self.app, email)]

    def actions(self) -> list[str]:
        with self.app.app_context(), transaction(self.account.org_id) as session:
            found = select(AuditEntry.action).order_by(AuditEntry.id)
            return [one for one in session.scalars(found) if "deletion" in one]

    def run(self, clock: Clock) -> None:
        container = self.app.extensions["lightwell"]
        with self.app.app_context():
            erasure.delete_due(container.storage, container.provider, clock())


@pytest.fixture
def case(app: Flask, acme: Account, sign_in: SignIn) -> Iterator[Case]:
    case = Case(app, acme, sign_in(acme, Role.OWNER))
    case.rename("Nordlicht Studio")
    yield case
    with app.app_context(), transaction() as session:
        session.get_one(Organization, acme.org_id).delete_at = None


def test_the_page_names_what_is_lost(case: Case, client: ApiClient, sign_in: SignIn) -> None:
    content = encoded(width=50, height=40)
    for key in (case.account.key, case.account.test_key):
        made = upload(client, key, content)
    client.delete(f"/api/v1/assets/{made['id']}", headers=bearer(case.account.test_key))
    sign_in(case.account, Role.VIEWER)
    page = " ".join(text_of(case.owner.get(case.path)).split())
    size = f"{2 * len(content) / 1024:.2f} KB"
    for name, value in (
        ("Images and videos", "2"),
        ("Renditions", "0"),
        ("Storage", size),
        ("API keys", "2"),
        ("Members", "3"),
        ("Subscription", "None"),
    ):
        told = page.partition(f"<dt>{name}</dt>")[2].partition("</dd>")[0]
        assert value in told, name
    assert "settings#data-export" in page


@on_both_databases
def test_the_name_must_be_typed(case: Case) -> None:
    for wrong in ("", "nordlicht studio", "Nordlicht", "x" * 300):
        answer = case.ask(wrong)
        assert answer.status_code == 400
        assert 'id="field-name-error"' in answer.text
        assert "Type the name of the organization exactly" in text_of(answer)
    assert case.delete_at is None
    assert case.ask("  Nordlicht   Studio ").status_code == 303
    assert case.delete_at is not None


def test_keys_and_published_images_stop_at_once_and_come_back(
    case: Case, client: ApiClient
) -> None:
    asset = upload(client, case.account.key)
    published = client.post(f"/v1/images/{asset['id']}/publish", headers=bearer(case.account.key))
    assert published.status_code == 200, published.text
    path = "/published/" + published.json["url"].partition("/published/")[2]

    def statuses() -> set[int]:
        answers = [client.get("/usage", headers=bearer(case.account.key)), client.get(path)]
        return {answer.status_code for answer in answers}

    assert statuses() == {200}
    case.ask()
    assert statuses() == {401, 404}
    case.take_back()
    assert statuses() == {200}


@on_both_databases
def test_all_members_are_told_and_any_owner_takes_it_back(
    case: Case, clock: Clock, sign_in: SignIn
) -> None:
    viewer, colleague = (sign_in(case.account, role) for role in (Role.VIEWER, Role.OWNER))
    for _ in range(2):
        assert case.ask().headers["Location"] == case.path
    assert case.delete_at is not None
    assert timedelta(0) <= case.delete_at - NOON - timedelta(days=7) < timedelta(minutes=1)
    told = "Nordlicht Studio will be deleted on 27 Nov 2026"
    for client in (viewer, colleague, case.owner):
        assert case.subjects(client) == [told]
        page = text_of(client.get(f"{case.account.home}/settings"))
        assert told in page
        assert ("Take it back" in page) is (client is not viewer)
    assert post(viewer, f"{case.path}/undo").status_code == 403
    for _ in range(2):
        back = post(colleague, f"{case.path}/undo")
        assert back.headers["Location"] == f"{case.account.home}/settings"
    assert case.delete_at is None
    assert case.subjects(viewer) == [told, "Nordlicht Studio stays"]
    assert told not in text_of(viewer.get(f"{case.account.home}/settings"))
    assert case.actions() == ["organization.deletion_requested", "organization.deletion_taken_back"]
    clock.advance(days=30)
    case.run(clock)
    assert viewer.get(f"{case.account.home}/settings").status_code in (200, 303)
    with case.app.app_context(), transaction() as session:
        assert session.get_one(Organization, case.account.org_id).deleted_at is None


def test_a_person_without_an_organization_makes_another_one(case: Case, clock: Clock) -> None:
    case.ask()
    with case.app.app_context(), transaction() as session:
        planned = session.get_one(Organization, case.account.org_id)
        planned.delete_at = clock()
    case.run(clock)
    assert case.owner.get(f"{case.account.home}/settings").status_code == 404
    home = case.owner.get("/dashboard")
    assert home.headers["Location"] == "/dashboard/new"
    made = post(case.owner, "/dashboard/new", name="Another")
    assert made.status_code == 303
    assert case.owner.get(f"{made.headers['Location']}/settings").status_code == 200
    with case.app.app_context(), transaction() as session:
        assert session.get(User, case.owner.user_id)


def test_once_begun_it_is_not_taken_back(case: Case, clock: Clock) -> None:
    """The page of another owner may still be open while the worker begins."""
    case.ask()
    with case.app.app_context(), transaction() as session:
        session.get_one(Organization, case.account.org_id).deleted_at = clock()
    answer = case.take_back()
    assert answer.status_code == 303
    assert "can't be taken back" in text_of(case.owner.get(answer.headers["Location"]))
    assert case.delete_at is not None


def test_nobody_joins_once_it_has_begun(case: Case, client: ApiClient, clock: Clock) -> None:
    token = add_invitation(case.app, case.account)
    assert client.get(f"/invitations/{token}").status_code == 200
    with case.app.app_context(), transaction() as session:
        session.get_one(Organization, case.account.org_id).deleted_at = clock()
    answer = post(client, f"/invitations/{token}", password=PASSWORD)
    assert (answer.status_code, "ask for a new one" in answer.text) == (404, True)


def test_deletion_asks_for_the_password_again(case: Case, clock: Clock) -> None:
    clock.advance(minutes=11)
    assert case.ask().headers["Location"].startswith("/login/again?next=")
    assert case.delete_at is None
