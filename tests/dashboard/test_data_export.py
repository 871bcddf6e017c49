"""A data export: asked for on the settings page, made by the worker, fetched by an owner."""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from itertools import product
from threading import Barrier, BrokenBarrierError
from typing import Any
from urllib.parse import urlsplit
from zipfile import ZipFile

import pytest
from flask import Flask
from sqlalchemy import select

from app.adapters.storage.interface import Storage
from app.extensions import transaction
from app.models import (
    Asset,
    AuditEntry,
    DataExport,
    DataExportStatus,
    DiscardedObject,
    Mode,
    Role,
    TrashedAsset,
    User,
    new_id,
)
from app.services import inventory
from app.services.accounts.keys import digest, parse
from app.services.deletion import rows
from app.services.exports import data_export_worker, data_exports
from app.services.exports.data_export_worker import MAX_ATTEMPTS
from app.services.exports.leased_zips import LEASE
from app.services.sweep import sweep
from app.tenancy import unscoped
from app.web.context import Container
from tests.client import Answer, ApiClient
from tests.clock import Clock
from tests.conftest import Account, SignIn
from tests.databases import on_both_databases
from tests.forms import post, text_of
from tests.images import encoded
from tests.library import make_asset
from tests.rows import fill
from tests.team import mails_to

SITE = "https://lightwell.example.com"


@dataclass
class Case:
    """An owner and the worker."""

    app: Flask
    account: Account
    owner: ApiClient
    clock: Clock

    @property
    def container(self) -> Container:
        container: Container = self.app.extensions["lightwell"]
        return container

    @property
    def path(self) -> str:
        return f"{self.account.home}/settings/data-export"

    def ask(self) -> Answer:
        return post(self.owner, self.path)

    def exports(self) -> list[DataExport]:
        with self.app.app_context(), transaction(self.account.org_id) as session:
            return list(session.scalars(select(DataExport)))

    def work(self) -> DataExport:
        (row,) = self.exports()
        with self.app.app_context():
            context = self.container.processing_context
            data_export_worker.work(self.account.org_id, row.id, context, SITE)
        (row,) = self.exports()
        return row

    def progress(self) -> Answer:
        return self.owner.get(self.path, headers={"HX-Request": "true"})

    def requeue_due(self) -> list[str]:
        with self.app.app_context(), transaction() as session, unscoped(session, "a test"):
            due = data_export_worker.requeue_due(session, self.clock())
            return [one.job_id for one in due if one.org_id == self.account.org_id]

    def zip(self) -> ZipFile:
        leads = self.owner.get(f"{self.path}/zip")
        assert leads.status_code == 303
        answer = self.owner.get(urlsplit(leads.headers["Location"]).path)
        name = f"{self.account.slug}-2026-11-20.zip"
        assert name in answer.headers["Content-Disposition"]
        return ZipFile(BytesIO(answer.data))

    def discarded(self) -> list[str]:
        with self.app.app_context(), transaction(self.account.org_id) as session:
            return list(session.scalars(select(DiscardedObject.storage_key)))


@pytest.fixture
def case(
    app: Flask, acme: Account, globex: Account, sign_in: SignIn, clock: Clock
) -> Iterator[Case]:
    yield Case(app, acme, sign_in(acme, Role.OWNER), clock)
    with app.app_context():
        for account in (acme, globex):
            rows.remove_owned_rows(account.org_id)


FILES: dict[str, type[Any]] = {"originals": Asset, "trash": TrashedAsset}
"""Folder in the ZIP → the assets whose files it holds."""
LISTS = ("live/assets.json", "live/trash.json")


def store(case: Case) -> dict[str, bytes]:
    """Fill the organization. Returns the bytes of its originals, by their names in the ZIP."""
    originals = {}
    with case.app.app_context():
        fill(case.account.org_id, case.owner.user_id)
        for mode, (folder, model) in product(Mode, FILES.items()):
            content = encoded(width=40 + len(mode), height=30 + len(folder))
            key = f"orgs/{case.account.org_id}/{mode}-{folder}.jpg"
            case.container.storage.put(key, [content])
            with transaction(case.account.org_id, mode) as session:
                asset = session.scalars(select(model)).one()
                asset.storage_key, asset.original_name = key, "../Müller.JPEG"
                originals[f"{mode}/{folder}/{asset.id} Müller.jpg"] = content
    return originals


def store_second(case: Case) -> dict[str, bytes]:
    """Another live image, the same way."""
    asset_id, key = f"z_{case.account.org_id[-20:]}", f"orgs/{case.account.org_id}/second.jpg"
    with case.app.app_context(), transaction(case.account.org_id, Mode.LIVE) as session:
        case.container.storage.put(key, [content := encoded()])
        session.add(make_asset(asset_id, original_name="second.jpg", storage_key=key))
    return {f"live/originals/{asset_id} second.jpg": content}


@on_both_databases
def test_everything_is_in_the_zip_and_no_secret(case: Case, globex: Account) -> None:
    originals = store(case) | store_second(case)
    with case.app.app_context():
        fill(globex.org_id, case.owner.user_id)
    assert case.ask().status_code == 303
    row = case.work()
    assert (row.status, row.error) == ("done", None)
    archive = case.zip()
    assert archive.testzip() is None
    entries = archive.namelist()
    assert len(entries) == len(set(entries)) == row.processed == row.total
    files = {name: archive.read(name) for name in entries}
    assert {name: data for name, data in files.items() if name.endswith(".jpg")} == originals
    sheets = {name: json.loads(data) for name, data in files.items() if name.endswith(".json")}
    assert all(sheets.values()), [name for name, found in sheets.items() if not found]
    (organization,) = sheets["organization.json"]
    assert (organization["id"], organization["slug"]) == (case.account.org_id, case.account.slug)
    assert {one["email"] for one in sheets["members.json"]} >= {case.account.email}
    assert {one["mode"] for one in sheets["keys.json"]} == {"live", "test"}
    names = {sheet: {row["originalName"] for row in sheets[sheet]} for sheet in LISTS}
    assert names == {LISTS[0]: {"../Müller.JPEG", "second.jpg"}, LISTS[1]: {"../Müller.JPEG"}}
    assert sheets["live/trash.json"][0]["deletedByKind"] == "user"
    everything = b"".join(files.values()).decode(errors="replace")
    for key in (case.account.key, case.account.test_key):
        secret = parse(key)[1]
        assert secret not in everything
        assert digest(secret) not in everything
    assert globex.org_id not in everything
    assert "sha256" not in everything.lower()


def test_files_of_an_empty_organization_are_empty_lists(case: Case) -> None:
    case.ask()
    case.work()
    archive = case.zip()
    assert json.loads(archive.read("live/assets.json")) == []
    assert "missing.json" not in archive.namelist()
    assert "missing.json" in archive.read("README.txt").decode()


def test_a_file_that_storage_lacks_is_named(case: Case) -> None:
    store(case)
    case.container.storage.delete([f"orgs/{case.account.org_id}/live-originals.jpg"])
    case.ask()
    assert case.work().status == "done"
    archive = case.zip()
    (missing,) = json.loads(archive.read("missing.json"))
    assert (missing["name"], missing["mode"]) == ("../Müller.JPEG", "live")
    assert [name for name in archive.namelist() if "originals" in name] == [
        name for name in archive.namelist() if name.startswith("test/originals")
    ]


def test_the_page_follows_the_export_until_it_is_done(case: Case) -> None:
    settings = f"{case.account.home}/settings"
    assert "Export data" in case.owner.get(settings).text
    assert case.progress().status_code == 286
    answer = case.ask()
    assert answer.headers["Location"] == f"{settings}#data-export"
    part = case.progress()
    assert part.status_code == 200
    assert 'hx-trigger="every 1s"' in part.text
    assert "Waiting for its turn" in part.text
    case.clock.advance(seconds=20)
    assert 'hx-trigger="every 3s"' in case.owner.get(settings).text
    case.work()
    part = case.progress()
    assert part.status_code == 286
    assert "hx-trigger" not in part.text
    assert "Download ZIP" in part.text


def test_one_runs_at_a_time_and_a_new_one_replaces_the_last(case: Case) -> None:
    case.ask()
    again = case.ask()
    assert "A data export is being made" in case.owner.get(again.headers["Location"]).text
    first = case.work()
    case.ask()
    (second,) = case.exports()
    assert second.id != first.id
    assert case.discarded() == [first.storage_key]
    none = case.owner.get(f"{case.path}/zip")
    assert none.headers["Location"] == f"{case.account.home}/settings#data-export"
    assert "There is no data export to fetch" in text_of(
        case.owner.get(case.path, follow_redirects=True)
    )


@on_both_databases
def test_of_two_requests_at_one_moment_one_makes_an_export(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = Barrier(2)

    def meet(prefix: str, now: datetime) -> str:
        """Wait until both have seen that there is no export, if both get so far."""
        with suppress(BrokenBarrierError):
            both.wait(0.5)
        return new_id(prefix, now)

    monkeypatch.setattr(data_exports, "new_id", meet)
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda _: case.ask(), range(2)))
    assert [answer.status_code for answer in answers] == [303, 303]
    assert len(case.exports()) == 1


def test_who_asked_gets_a_mail(case: Case) -> None:
    case.ask()
    case.work()
    with case.app.app_context(), transaction() as session:
        email = session.get_one(User, case.owner.user_id).email
    (mail,) = mails_to(case.app, email)
    assert "is ready" in mail.subject
    assert f"{SITE}{case.account.home}/settings#data-export" in str(mail.text)


def test_it_is_kept_for_seven_days(case: Case) -> None:
    case.ask()
    row = case.work()
    case.clock.advance(days=6, hours=23)
    container = case.container
    with case.app.app_context():
        sweep(container.storage, container.settings.spool_dir, case.clock())
    assert case.exports()
    assert container.storage.size(str(row.storage_key))
    case.clock.advance(hours=2)
    with case.app.app_context():
        sweep(container.storage, container.settings.spool_dir, case.clock())
    assert case.exports() == []
    assert container.storage.size(str(row.storage_key)) is None


def test_only_owners_who_showed_their_password_lately_have_it(case: Case, sign_in: SignIn) -> None:
    admin = sign_in(case.account, Role.ADMIN)
    for path in (case.path, f"{case.path}/zip"):
        assert admin.get(path).status_code == 403
    assert post(admin, case.path).status_code == 403
    case.clock.advance(minutes=11)
    for answer in (case.ask(), case.owner.get(f"{case.path}/zip")):
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/login/again?next=")
    assert case.exports() == []


@on_both_databases
def test_another_worker_goes_on_where_one_died(case: Case) -> None:
    """The lease ends; the ZIP of the dead worker is not the one that counts."""
    case.ask()
    (row,) = case.exports()
    assert case.requeue_due() == []
    with case.app.app_context(), transaction(case.account.org_id) as session:
        assert data_export_worker._claim(session, row.id, case.clock())
    assert case.work().status == "running"
    case.clock.advance(seconds=LEASE.total_seconds() + 1)
    assert case.requeue_due() == [f"{row.id}-1"]
    assert case.requeue_due() == []
    done = case.work()
    assert (done.status, done.attempts) == ("done", 2)
    assert str(done.storage_key).endswith("-2.zip")
    assert case.discarded() == [f"data-exports/{case.account.org_id}/{row.id}-1.zip"]


def test_who_lost_the_lease_finishes_nothing(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.ask()
    (row,) = case.exports()
    storage = type(case.container.storage)
    put = storage.put

    def overtaken(own: Storage, key: str, chunks: Iterable[bytes], kind: str) -> None:
        put(own, key, chunks, kind)
        case.clock.advance(seconds=LEASE.total_seconds() + 1)
        assert case.requeue_due()

    monkeypatch.setattr(storage, "put", overtaken)
    assert case.work().status == "queued"
    assert case.discarded() == [f"data-exports/{case.account.org_id}/{row.id}-1.zip"]


def test_it_fails_after_ten_attempts(case: Case) -> None:
    case.ask()
    with case.app.app_context(), transaction(case.account.org_id) as session:
        session.scalars(select(DataExport)).one().attempts = MAX_ATTEMPTS
    case.clock.advance(seconds=LEASE.total_seconds() + 1)
    assert case.requeue_due() == []
    (row,) = case.exports()
    assert row.status == DataExportStatus.FAILED
    assert "could not be made" in text_of(case.progress())
    case.ask()
    (row,) = case.exports()
    assert row.status == DataExportStatus.QUEUED


def test_it_is_written_down(case: Case) -> None:
    case.ask()
    case.work()
    case.zip()
    with case.app.app_context(), transaction(case.account.org_id) as session:
        actions: list[Any] = list(
            session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))
        )
    assert actions[-2:] == ["data_export.requested", "data_export.fetched"]


def test_the_nightly_comparison_knows_its_zip(file_time: None, case: Case) -> None:
    def differences() -> list[str]:
        with case.app.app_context():
            found = inventory.compare(case.container.storage, case.clock())
            return [one.key for one in found if case.account.org_id in one.key]

    case.ask()
    key = str(case.work().storage_key)
    case.clock.advance(hours=2)
    assert differences() == []
    case.container.storage.delete([key])
    assert differences() == [key]
