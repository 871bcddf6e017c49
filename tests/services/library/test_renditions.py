"""Claims on renditions: one counts, whatever the holders of the others still do."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.errors import Overloaded
from app.extensions import transaction
from app.imaging import Format, Transform, Turn
from app.models import Asset, DiscardedObject, MediaType, Mode, Rendition, new_id
from app.services.accounts import keys
from app.services.library import kept_renditions, renditions
from app.services.library.kept_renditions import ORPHANED_AFTER
from app.services.library.renditions import LEASE, ReadyRendition, RenditionRequest, RenditionSource
from app.services.processing_context import ProcessingContext
from app.tenancy import unscoped
from tests.client import ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases
from tests.images import encoded
from tests.workspace import upload

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]
SMALL = Transform(format=Format.WEBP, max_width=20)


@dataclass
class Case:
    """An organization with one asset, whose rendition is asked for."""

    render: Callable[[], ReadyRendition]
    partition: tuple[str, Mode]
    original: RenditionSource

    @property
    def row(self) -> Rendition:
        with transaction(*self.partition) as session:
            return session.scalars(select(Rendition)).one()

    @property
    def discarded(self) -> list[str]:
        with transaction(*self.partition) as session:
            return list(session.scalars(select(DiscardedObject.storage_key)))

    def claimed(self, now: datetime, claim: str = "claim_other") -> Rendition:
        """What another process that renders has in the database."""
        with transaction(*self.partition) as session:
            other = Rendition(
                id=new_id("rend", now),
                content=self.original.content,
                transform_key=SMALL.canonical(),
                claim=claim,
                lease_until=now + LEASE,
                storage_key=f"renditions/{claim}",
                ready=False,
                created_at=now,
                needed_until=now,
            )
            session.add(other)
        return other

    def change(self, **values: object) -> None:
        with transaction(*self.partition) as session:
            row = session.scalars(select(Rendition)).one()
            for name, value in values.items():
                setattr(row, name, value)


@pytest.fixture
def case(app: Flask, client: ApiClient, acme: Account, clock: Clock, tmp_path: Path) -> Case:
    upload(client, acme.key)
    who = keys.authenticate(acme.key, clock())
    with transaction(*who.partition) as session:
        original = RenditionSource.of(session.scalars(select(Asset)).one())
    context = app.extensions["lightwell"].processing_context
    targets = (tmp_path / str(number) for number in range(9))
    return Case(
        lambda: renditions.render(RenditionRequest(who, original, SMALL), next(targets), context),
        who.partition,
        original,
    )


@pytest.fixture
def while_it_draws(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have ``happens`` called while a picture is drawn, just before the claim is renewed, and
    ``then`` after it."""

    outcome = ProcessingContext.outcome

    def arrange(happens: Callable[[], object], then: Callable[[], object] = lambda: None) -> None:
        def slow(context: ProcessingContext, work: Turn[Any], heartbeat: Callable[[], None]) -> Any:
            monkeypatch.setattr(ProcessingContext, "outcome", outcome)
            happens()
            heartbeat()
            then()
            return outcome(context, work)

        monkeypatch.setattr(ProcessingContext, "outcome", slow)

    return arrange


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again twice, then give up."""
    moments = iter([0.0, 1.0, 2.0, renditions.PATIENCE_SECONDS])
    monkeypatch.setattr(
        renditions, "time", SimpleNamespace(monotonic=moments.__next__, sleep=lambda _: None)
    )


def month(client: ApiClient, account: Account) -> tuple[int, int]:
    """Images used this month, and those that are set aside."""
    answer = client.get("/usage", headers=bearer(account.key)).json
    return answer["used"], answer["limit"] - answer["used"] - answer["remaining"]


@pytest.fixture
def acme(make_account: AccountMaker) -> Account:
    return make_account("acme", monthly_images=100)


def test_a_claim_is_renewed_while_the_picture_is_drawn(
    case: Case, clock: Clock, while_it_draws: Callable[..., None]
) -> None:
    leases: list[datetime] = []

    def later() -> None:
        leases.append(case.row.lease_until)
        clock.advance(seconds=8)

    while_it_draws(later, lambda: leases.append(case.row.lease_until))
    assert not case.render().cached
    assert leases[1] - leases[0] >= timedelta(seconds=8)


def test_what_is_known_of_a_rendition(case: Case) -> None:
    found, row = case.render(), case.row
    assert (row.ready, row.format, row.width, row.height) == (True, "webp", 20, 15)
    assert (row.size, row.crc32, row.storage_key) == (found.size, found.crc32, found.storage_key)
    again = case.render()
    assert (again.size, again.crc32, again.format, again.cached) == (
        found.size,
        found.crc32,
        Format.WEBP,
        True,
    )


def test_missing_are_contents_of_images_without_a_rendition_that_is_ready(
    acme: Account, client: ApiClient, case: Case, clock: Clock
) -> None:
    who = keys.authenticate(acme.key, clock())
    copy = upload(client, acme.key, original="copy.jpg")["id"]
    other = upload(client, acme.key, encoded(seed=2))["id"]

    def missing(*asset_ids: str) -> int:
        with transaction(*case.partition) as session:
            session.get_one(Asset, video).media_type = MediaType.VIDEO
            return kept_renditions.count_missing(session, who, asset_ids, SMALL)

    video = upload(client, acme.key, encoded(seed=3))["id"]
    mine = case.original.asset_id
    assert missing() == missing(video) == missing("image_unknown") == 0
    assert missing(mine) == missing(mine, copy) == 1
    assert missing(mine, copy, other, video) == 2
    case.claimed(clock())
    assert missing(mine) == 1
    case.change(ready=True)
    assert (missing(mine, copy), missing(mine, other)) == (0, 1)


def test_a_claim_that_was_overtaken_overwrites_nothing(
    client: ApiClient, acme: Account, case: Case, clock: Clock, while_it_draws: Callable[..., None]
) -> None:
    """Its holder was away for longer than its lease, as a suspended machine is; another rendered
    meanwhile."""
    first: list[str] = []
    others: list[ReadyRendition] = []

    def overtaken() -> None:
        first.append(case.row.storage_key)
        clock.advance(seconds=LEASE.total_seconds())
        others.append(case.render())

    while_it_draws(overtaken)
    own = case.render()
    assert (others[0].cached, own.cached) == (False, True)
    assert own.storage_key == case.row.storage_key == others[0].storage_key != first[0]
    assert set(case.discarded) == set(first)
    assert month(client, acme) == (1, 0)


@pytest.mark.usefixtures("short_patience")
def test_a_claim_that_was_taken_over_is_left_to_its_new_holder(
    client: ApiClient, acme: Account, case: Case, clock: Clock, while_it_draws: Callable[..., None]
) -> None:
    """Neither kept nor renewed nor given up by the old one, whose own file is thrown away and costs
    nothing."""
    first: list[str] = []
    until = clock() + LEASE

    def taken_over() -> None:
        first.append(case.row.storage_key)
        case.change(claim="claim_other", storage_key="renditions/other", lease_until=until)
        clock.advance(seconds=5)

    while_it_draws(taken_over)
    with pytest.raises(Overloaded):
        case.render()
    row = case.row
    assert (row.claim, row.storage_key, row.lease_until) == (
        "claim_other",
        "renditions/other",
        until,
    )
    assert (row.ready, row.format) == (False, None)
    assert case.discarded == first
    assert month(client, acme) == (0, 0)


@pytest.mark.usefixtures("short_patience")
def test_a_claim_is_waited_for_until_its_lease_is_over(
    client: ApiClient, acme: Account, case: Case, clock: Clock
) -> None:
    other = case.claimed(clock())
    with pytest.raises(Overloaded):
        case.render()
    assert case.row.claim == other.claim
    assert month(client, acme) == (0, 0)


def test_a_lease_that_is_over_is_taken_over_with_what_it_stored(
    client: ApiClient, acme: Account, case: Case, clock: Clock
) -> None:
    other = case.claimed(clock())
    clock.set(other.lease_until)
    found = case.render()
    assert (found.cached, case.row.id, case.row.ready) == (False, other.id, True)
    assert case.row.claim != other.claim
    assert case.discarded == [other.storage_key]
    assert month(client, acme) == (1, 0)


@pytest.fixture
def at_the_last_moment(case: Case, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have the row changed between the look at it and the attempt to take it over."""

    def arrange(**values: object) -> None:
        def change(kind: str, now: datetime) -> str:
            monkeypatch.setattr(renditions, "new_id", new_id)
            case.change(**values)
            return new_id(kind, now)

        monkeypatch.setattr(renditions, "new_id", change)

    return arrange


def test_what_its_holder_finished_just_now_is_not_taken_over(
    client: ApiClient,
    acme: Account,
    case: Case,
    clock: Clock,
    at_the_last_moment: Callable[..., None],
) -> None:
    other = case.claimed(clock())
    clock.set(other.lease_until)
    at_the_last_moment(ready=True, format="webp", size=5, crc32=7)
    found = case.render()
    assert (found.cached, found.storage_key, found.size, found.crc32) == (
        True,
        other.storage_key,
        5,
        7,
    )
    assert case.discarded == []
    assert month(client, acme) == (0, 0)


@pytest.mark.usefixtures("short_patience")
def test_what_a_third_one_just_took_over_is_not_taken_over(
    client: ApiClient,
    acme: Account,
    case: Case,
    clock: Clock,
    at_the_last_moment: Callable[..., None],
) -> None:
    clock.set(case.claimed(clock()).lease_until)
    at_the_last_moment(claim="claim_third", lease_until=clock() + LEASE)
    with pytest.raises(Overloaded):
        case.render()
    assert (case.row.claim, case.discarded) == ("claim_third", [])
    assert month(client, acme) == (0, 0)


def test_only_a_claim_that_nobody_took_over_for_an_hour_is_forgotten(
    case: Case, clock: Clock
) -> None:
    other = case.claimed(clock())

    def sweep() -> int:
        with transaction() as session, unscoped(session, "a test"):
            due = case.partition in kept_renditions.partitions_with_expired(session, clock())
        with transaction(*case.partition) as session:
            gone = kept_renditions.release_expired(session, clock())
        assert due == bool(gone)
        return gone

    clock.set(other.needed_until + ORPHANED_AFTER - timedelta(seconds=1))
    assert sweep() == 0
    clock.set(other.needed_until + ORPHANED_AFTER)
    assert sweep() == 1
    with transaction(*case.partition) as session:
        assert session.scalars(select(Rendition)).all() == []
    assert case.discarded == [other.storage_key]
