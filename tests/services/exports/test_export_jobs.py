"""Attempts at a batch export: one counts, whatever the workers of the others still do
(docs/decisions/008)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.adapters.storage.interface import Storage
from app.config import TEST_IMAGES_PER_DAY
from app.errors import RateLimited
from app.extensions import transaction
from app.imaging import Format, Transform
from app.models import DiscardedObject, Export, ExportStatus, Organization
from app.services.accounts import keys
from app.services.accounts.principal import Principal
from app.services.exports import export_jobs, export_worker, leased_zips
from app.services.exports.export_jobs import MAX_UNFINISHED, DueExport
from app.services.exports.export_worker import MAX_ATTEMPTS, _Packing
from app.services.exports.exports import Config
from app.services.exports.leased_zips import LEASE, LeasedZip
from app.tenancy import unscoped
from tests.client import ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account
from tests.databases import on_both_databases
from tests.workspace import upload

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]
CONFIG = Config(Transform(format=Format.WEBP, max_width=20))
PATIENCE = 30


@dataclass
class Case:
    """An organization that exports its one asset. Its storage is asked to ``put`` ZIPs."""

    principal: Principal
    asset_id: str
    work: Callable[[str], None]
    clock: Callable[[], datetime]

    def create(self) -> Export:
        with transaction(*self.principal.partition) as session:
            return export_jobs.create(
                session, self.principal, [self.asset_id], CONFIG, self.clock()
            )

    def row(self, export: Export) -> Export:
        with transaction(*self.principal.partition) as session:
            return export_jobs.get(session, export.id)

    @property
    def discarded(self) -> list[str]:
        with transaction(*self.principal.partition) as session:
            return list(session.scalars(select(DiscardedObject.storage_key)))

    def requeue_due(self) -> list[DueExport]:
        with transaction() as session, unscoped(session, "a test"):
            return [
                due
                for due in export_worker.requeue_due(session, self.clock())
                if due.org_id == self.principal.org_id
            ]

    def another_claims(self, export: Export) -> None:
        """What a second worker has done when it begins."""
        with transaction(*self.principal.partition) as session:
            assert export_worker._claim(session, export.id, self.clock())


@pytest.fixture
def case(app: Flask, client: ApiClient, acme: Account, clock: Clock) -> Case:
    asset = upload(client, acme.key)
    who = keys.authenticate(acme.key, clock())
    context = app.extensions["lightwell"].processing_context

    def work(export_id: str) -> None:
        export_worker.work(*who.partition, export_id, context, TEST_IMAGES_PER_DAY)

    return Case(who, asset["id"], work, clock)


@pytest.fixture
def while_it_stores(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have something happen while the next ZIP goes into storage; it is given the ZIP's chunks."""
    storage = type(app.extensions["lightwell"].storage)
    put = storage.put

    def arrange(happens: Callable[[Iterable[bytes]], Iterable[bytes]]) -> None:
        def interrupted(own: Storage, key: str, chunks: Iterable[bytes], kind: str) -> None:
            monkeypatch.setattr(storage, "put", put)
            put(own, key, happens(chunks), kind)

        monkeypatch.setattr(storage, "put", interrupted)

    return arrange


def overdue(case: Case, clock: Clock, export: Export) -> None:
    """The worker is away for longer than its lease; another takes the export up."""
    clock.set(case.row(export).lease_until)
    assert [due.export_id for due in case.requeue_due()] == [export.id]
    case.another_claims(export)


def test_the_export_of_a_suspended_organization_fails_and_is_not_tried_again(
    case: Case, clock: Clock
) -> None:
    export = case.create()
    with transaction() as session:
        this = update(Organization).where(Organization.id == case.principal.org_id)
        session.change(this.values(suspended_at=clock(), suspended_reason="Spam."))
    case.work(export.id)
    row = case.row(export)
    assert (row.status, row.storage_key) == ("failed", None)
    assert "suspended" in str(row.error)
    clock.advance(days=1)
    assert case.requeue_due() == []


def test_the_end_of_an_attempt_that_was_overtaken_ends_nothing(
    case: Case, clock: Clock, while_it_stores: Callable[..., None]
) -> None:
    """Its ZIP is thrown away; the other one's worker is still at it, and its lease stays what it
    was."""
    export = case.create()
    leases: list[datetime] = []

    def overtaken(chunks: Iterable[bytes]) -> Iterable[bytes]:
        whole = list(chunks)
        overdue(case, clock, export)
        leases.append(case.row(export).lease_until)
        clock.advance(seconds=3)
        return whole

    while_it_stores(overtaken)
    case.work(export.id)
    row = case.row(export)
    assert (row.status, row.attempt, row.storage_key, row.lease_until) == (
        "running",
        2,
        None,
        leases[0],
    )
    first = f"exports/{export.org_id}/{export.id}-1.zip"
    assert case.discarded == [first]


def test_a_worker_that_was_overtaken_stops_and_renews_nothing(
    case: Case, clock: Clock, while_it_stores: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leased_zips, "HEARTBEAT_SECONDS", 0.001)
    export, awake, noticed, beat = case.create(), Event(), Event(), LeasedZip._beat
    leases: list[datetime] = []
    went_on: list[bytes] = []

    def watched(zip_file: LeasedZip) -> None:
        assert awake.wait(PATIENCE)
        beat(zip_file)
        if zip_file._lost.is_set():
            noticed.set()

    def overtaken(chunks: Iterable[bytes]) -> Iterable[bytes]:
        overdue(case, clock, export)
        leases.append(case.row(export).lease_until)
        clock.advance(seconds=3)
        awake.set()
        assert noticed.wait(PATIENCE)
        for chunk in chunks:
            went_on.append(chunk)
            yield chunk

    monkeypatch.setattr(LeasedZip, "_beat", watched)
    while_it_stores(overtaken)
    case.work(export.id)
    assert not went_on
    row = case.row(export)
    assert (row.status, row.attempt, row.lease_until) == ("running", 2, leases[0])


def test_a_worker_keeps_its_lease_and_shows_how_far_it_is(
    case: Case, clock: Clock, while_it_stores: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leased_zips, "HEARTBEAT_SECONDS", 0.001)
    export, renewed, renew = case.create(), Event(), _Packing._renew
    seen: list[Export] = []

    def watched(packing: _Packing) -> bool:
        is_late = clock() >= late and packing.progress.processed
        held = renew(packing)
        if is_late:
            renewed.set()
        return held

    late = clock() + timedelta(seconds=8)

    def slow(chunks: Iterable[bytes]) -> Iterable[bytes]:
        whole = list(chunks)
        clock.set(late)
        assert renewed.wait(PATIENCE)
        seen.append(case.row(export))
        return whole

    monkeypatch.setattr(_Packing, "_renew", watched)
    while_it_stores(slow)
    case.work(export.id)
    assert (seen[0].status, seen[0].processed, seen[0].failed) == ("running", 1, 0)
    assert seen[0].lease_until >= late + LEASE
    assert case.row(export).status == "done"


def test_a_cancelled_export_is_claimed_and_finished_by_nobody(
    case: Case, clock: Clock, while_it_stores: Callable[..., None]
) -> None:
    running, queued = case.create(), case.create()

    def cancelled(chunks: Iterable[bytes]) -> Iterable[bytes]:
        whole = list(chunks)
        with transaction(*case.principal.partition) as session:
            export_jobs.cancel_or_delete(session, running.id, clock())
        return whole

    while_it_stores(cancelled)
    case.work(running.id)
    assert (case.row(running).status, case.row(running).storage_key) == ("cancelled", None)
    assert set(case.discarded) == {f"exports/{running.org_id}/{running.id}-1.zip"}
    assert case.row(running).finished_at is not None
    with transaction(*case.principal.partition) as session:
        export_jobs.cancel_or_delete(session, queued.id, clock())
        export_jobs.cancel_or_delete(session, queued.id, clock())
    case.work(queued.id)
    assert (case.row(queued).status, case.row(queued).attempt) == ("cancelled", 0)


def test_what_a_dead_worker_stored_goes_with_its_export(case: Case, clock: Clock) -> None:
    export = case.create()
    clock.advance(seconds=3)
    case.another_claims(export)
    assert case.row(export).lease_until >= export.lease_until + timedelta(seconds=3)
    with transaction(*case.principal.partition) as session:
        export_jobs.cancel_or_delete(session, export.id, clock())
    assert case.discarded == [f"exports/{export.org_id}/{export.id}-1.zip"]


def test_what_is_due_is_told_once_and_only_when_its_lease_is_over(case: Case, clock: Clock) -> None:
    export = case.create()
    assert case.requeue_due() == []
    clock.set(export.lease_until)
    due = DueExport(export.org_id, "live", export.id, 0)
    assert due.job_id == f"{export.id}-0"
    assert case.requeue_due() == [due]
    assert case.requeue_due() == []
    case.another_claims(export)
    assert export_jobs.due(case.row(export)).job_id == f"{export.id}-1"
    clock.set(case.row(export).lease_until)
    assert [one.job_id for one in case.requeue_due()] == [f"{export.id}-1"]
    assert case.row(export).status == "queued"


@pytest.mark.parametrize("attempts", [MAX_ATTEMPTS - 1, MAX_ATTEMPTS])
def test_the_last_attempt_is_the_twentieth(case: Case, clock: Clock, attempts: int) -> None:
    export = case.create()
    with transaction(*case.principal.partition) as session:
        export_jobs.get(session, export.id).attempt = attempts
    clock.set(export.lease_until)
    told = case.requeue_due()
    row = case.row(export)
    if attempts < MAX_ATTEMPTS:
        assert (len(told), row.status, row.error, row.finished_at) == (1, "queued", None, None)
    else:
        assert (told, row.status) == ([], "failed")
        assert row.error
        assert row.finished_at


def test_twenty_may_be_unfinished(case: Case) -> None:
    oldest, second, *_ = [case.create() for _ in range(MAX_UNFINISHED)]
    with pytest.raises(RateLimited) as refused:
        case.create()
    assert refused.value.headers["Retry-After"] == "30"
    with transaction(*case.principal.partition) as session:
        export_jobs.get(session, second.id).status = ExportStatus.RUNNING
    with pytest.raises(RateLimited):
        case.create()
    case.work(oldest.id)
    assert case.create().status == "queued"


def test_the_newest_come_first(case: Case, clock: Clock) -> None:
    made = []
    for _ in range(3):
        made.append(case.create().id)
        clock.advance(seconds=1)
    with transaction(*case.principal.partition) as session:
        assert [export.id for export in export_jobs.newest(session, 2)] == [made[2], made[1]]


def test_a_zip_goes_after_a_day_and_its_row_after_thirty(case: Case, clock: Clock) -> None:
    export = case.create()
    case.work(export.id)
    done = case.row(export)

    def sweep() -> int:
        with transaction() as session, unscoped(session, "a test"):
            due = case.principal.partition in export_jobs.partitions_with_expired(session, clock())
        with transaction(*case.principal.partition) as session:
            removed = export_jobs.release_expired(session, clock())
            left = len(export_jobs.newest(session, 9))
        assert due == bool(removed or not left)
        return removed

    assert done.finished_at
    clock.set(done.finished_at + timedelta(hours=24) - timedelta(seconds=1))
    assert sweep() == 0
    assert case.row(export).storage_key == done.storage_key
    clock.set(done.finished_at + timedelta(hours=24))
    assert sweep() == 1
    assert (case.row(export).storage_key, case.discarded) == (None, [done.storage_key])
    clock.set(done.finished_at + timedelta(days=30) - timedelta(seconds=1))
    assert sweep() == 0
    assert case.row(export).status == "done"
    clock.set(done.finished_at + timedelta(days=30))
    assert sweep() == 0
    with transaction(*case.principal.partition) as session:
        assert export_jobs.newest(session, 9) == []


def test_what_the_customer_is_told_of_a_finished_one(
    case: Case, client: ApiClient, acme: Account
) -> None:
    export = case.create()
    case.work(export.id)
    told = client.get(f"/api/v1/exports/{export.id}", headers=bearer(acme.key)).json
    row = case.row(export)
    assert (told["status"], told["processed"], told["failed"], told["size"]) == (
        "done",
        1,
        0,
        row.size,
    )
    assert row.storage_key == f"exports/{export.org_id}/{export.id}-1.zip"
    assert row.attempt == 1
