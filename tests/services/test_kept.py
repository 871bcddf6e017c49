"""What can be made again never takes more than its share, whatever comes and goes in which
order."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from app.extensions import db, transaction
from app.imaging import Format, Picture, Transform
from app.models import DiscardedObject, Export, IdempotentRequest, Kept, Rendition, new_id
from app.services import idempotency, kept
from app.services.accounts import keys
from app.services.exports import export_jobs, export_worker, export_zips
from app.services.exports.exports import Config
from app.services.idempotency import KeptAnswer, RequestClaim
from app.services.library import assets, kept_renditions, renditions
from app.services.library.assets import Label
from app.services.library.renditions import ReadyRendition, RenditionRequest, RenditionSource
from tests.clock import Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases
from tests.library import make_asset

pytestmark = pytest.mark.usefixtures("context")
STORAGE = 1000
"""Bytes of the plan: so 50 for answers, 250 for renditions, 500 for ZIPs."""
SUMS = {
    Kept.ANSWER: select(func.sum(IdempotentRequest.body_size)).where(
        IdempotentRequest.body_key.is_not(None)
    ),
    Kept.RENDITION: select(func.sum(Rendition.size)).where(Rendition.ready.is_(True)),
    Kept.EXPORT: select(func.sum(Export.size)).where(Export.storage_key.is_not(None)),
}


class Tenant:
    """An organization that keeps things of any size, without the work that makes them."""

    def __init__(self, app: Flask, account: Account, clock: Clock) -> None:
        who = keys.authenticate(account.key, clock())
        self.who = dataclasses.replace(
            who, allowance=dataclasses.replace(who.allowance, storage_bytes=STORAGE)
        )
        self.clock = clock
        self.context = app.extensions["lightwell"].processing_context
        with transaction(*self.who.partition) as session:
            asset = make_asset(new_id("image", clock()), uploaded_at=clock())
            assets.add(session, asset, Label("a"))
            self.original = RenditionSource.of(asset)
        self.numbers = count(1)

    def answer(self, size: int) -> None:
        with transaction(*self.who.partition) as session:
            key = f"k{next(self.numbers)}"
            claim = idempotency.claim(session, self.who, "POST", "/x", key, "f", self.clock())
            assert isinstance(claim, RequestClaim)
            answer = KeptAnswer(200, {}, idempotency.body_key(self.who, claim), size)
            assert idempotency.keep(session, self.who, claim, answer, self.clock()) == (size <= 50)

    def rendition(self, size: int, ttl: timedelta | None = None) -> str:
        transform = Transform(max_width=next(self.numbers))
        wanted = RenditionRequest(self.who, self.original, transform, ttl)
        with transaction(*self.who.partition) as session:
            claim = renditions._find_or_claim(session, wanted, self.clock())
        assert isinstance(claim, renditions.RenditionClaim)
        picture = Picture(Format.PNG, 1, 1, size, False, "jpeg", 1)
        found = ReadyRendition(claim.storage_key, Format.PNG, size, 0, False, 1, 1)
        rendering = renditions._Rendering(wanted, claim, Path(), self.context)
        rendering._keep(picture, found)  # unless it was forgotten meanwhile
        return claim.storage_key

    def export(self, size: int) -> None:
        with transaction(*self.who.partition) as session:
            config = Config(Transform())
            export = export_jobs.create(
                session, self.who, [self.original.asset_id], config, self.clock()
            )
        with transaction(*self.who.partition) as session:
            attempt = export_worker._claim(session, export.id, self.clock())
        assert attempt is not None
        self.context.storage.put(attempt.storage_key, [bytes(size)])
        packing = export_worker._Packing(self.who, attempt, self.context)
        try:
            packing._finish()
        except export_zips.ZipTooLarge:
            assert size > 500
            packing.fail("It is too large.")

    def expire(self, hours: int) -> None:
        self.clock.advance(hours=hours)
        for service in (idempotency, kept_renditions, export_jobs):
            with transaction(*self.who.partition) as session:
                service.release_expired(session, self.clock())

    def forget(self, _: int) -> None:
        with transaction(*self.who.partition) as session:
            kept_renditions.remove_all(session, [self.original.content])
            for export_id in session.scalars(select(Export.id)).all():
                export_jobs.cancel_or_delete(session, export_id, self.clock())

    def sums(self) -> dict[Kept, tuple[int, int]]:
        """The bytes of the rows, and what is counted."""
        with transaction(*self.who.partition) as session:
            return {
                kind: (session.scalar(rows) or 0, kept.total(session, kind))
                for kind, rows in SUMS.items()
            }


@pytest.fixture
def tenant(app: Flask, acme: Account, clock: Clock) -> Tenant:
    return Tenant(app, acme, clock)


STEPS = st.one_of(
    st.tuples(st.just("answer"), st.integers(0, 60)),
    st.tuples(st.just("rendition"), st.integers(1, 300)),
    st.tuples(st.just("export"), st.integers(1, 600)),
    st.tuples(st.just("expire"), st.integers(1, 800)),
    st.tuples(st.just("forget"), st.just(0)),
)


@pytest.mark.slow
@on_both_databases
def test_the_sum_is_counted_and_never_passes_the_share(
    app: Flask, make_account: AccountMaker, clock: Clock
) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(STEPS, min_size=4, max_size=20))
    def run(steps: list[tuple[str, int]]) -> None:
        tenant = Tenant(app, make_account(), clock)
        for name, size in steps:
            getattr(tenant, name)(size)
            if name in tuple(Kept) and size <= kept.max_bytes(tenant.who, Kept(name)):
                assert tenant.sums()[Kept(name)][0] >= size
            for kind, (rows, counted) in tenant.sums().items():
                assert rows == counted <= kept.max_bytes(tenant.who, kind)

    run()


@on_both_databases
def test_parallel_requests_never_pass_the_share_nor_wait_for_each_other_in_vain(
    app: Flask, tenant: Tenant
) -> None:
    def work(number: int) -> None:
        with app.app_context():
            for size in range(1, 9):
                tenant.rendition(30 * size % 250 + 1)
                tenant.answer(7 * size % 50)
                if number == size:
                    tenant.forget(0)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    for kind, (rows, counted) in tenant.sums().items():
        assert rows == counted <= kept.max_bytes(tenant.who, kind)


@on_both_databases
def test_what_was_needed_longest_ago_goes_first_and_its_object_is_discarded(
    tenant: Tenant, clock: Clock
) -> None:
    """A URL that is valid counts as need until it ends."""
    promised = tenant.rendition(100, timedelta(hours=2))
    clock.advance(minutes=1)
    old = tenant.rendition(100)
    clock.advance(minutes=1)
    new = tenant.rendition(100)
    assert stored(tenant) == ({promised, new}, {old})
    clock.advance(hours=3)
    last = tenant.rendition(150)
    assert stored(tenant) == ({last, promised}, {old, new})


def stored(tenant: Tenant) -> tuple[set[str], set[str]]:
    with transaction(*tenant.who.partition) as session:
        kept_ones = set(session.scalars(select(Rendition.storage_key)))
        return kept_ones, set(session.scalars(select(DiscardedObject.storage_key)))


def test_many_small_ones_make_room_for_a_large_one(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "BATCH_SIZE", 2)
    for _ in range(7):
        tenant.answer(7)
    tenant.answer(50)
    assert tenant.sums()[Kept.ANSWER] == (50, 50)


def test_what_was_never_counted_may_go(tenant: Tenant) -> None:
    """A release that runs beside this one, or ran before it, kept it."""
    with transaction(*tenant.who.partition) as session:
        kept.change_total(session, Kept.RENDITION, 5)
        kept.change_total(session, Kept.RENDITION, -7)
        assert kept.total(session, Kept.RENDITION) == 0
        kept.change_total(session, Kept.RENDITION, 3)
        assert kept.total(session, Kept.RENDITION) == 3


def test_test_keys_keep_two_hundred_megabytes_in_all_on_any_plan(
    acme: Account, clock: Clock
) -> None:
    who = keys.authenticate(acme.test_key, clock())
    assert sum(kept.max_bytes(who, kind) for kind in Kept) == 200 * 1024 * 1024


@pytest.mark.parametrize("plan", ["FREE", "TEAM", "BUSINESS", "ENTERPRISE"])
def test_the_shares_grow_with_the_plan(make_account: AccountMaker, clock: Clock, plan: str) -> None:
    who = keys.authenticate(make_account(plan=plan).key, clock())
    whole = who.allowance.storage_bytes or 4 * 1024**4
    assert {kind: kept.max_bytes(who, kind) for kind in Kept} == {
        Kept.ANSWER: whole // 20, Kept.RENDITION: whole // 4, Kept.EXPORT: whole // 2
    }  # fmt: skip


def test_modes_have_bounds_of_their_own(tenant: Tenant, acme: Account, clock: Clock) -> None:
    tenant.answer(50)
    test = keys.authenticate(acme.test_key, clock())
    with transaction(*test.partition) as session:
        assert kept.total(session, Kept.ANSWER) == 0


@pytest.mark.parametrize(
    ("add", "index"),
    [
        (lambda tenant: [tenant.answer(30) for _ in range(2)], "ix_idempotent_requests_kept"),
        (lambda tenant: [tenant.rendition(200) for _ in range(2)], "ix_renditions_kept"),
        (lambda tenant: [tenant.export(400) for _ in range(2)], "ix_exports_kept"),
    ],
)
def test_the_oldest_are_found_by_an_index_without_sorting(
    tenant: Tenant, add: Callable[[Tenant], object], index: str
) -> None:
    asked: list[tuple[str, tuple[Any, ...]]] = []

    def note(
        _connection: object,
        _cursor: object,
        statement: str,
        parameters: tuple[Any, ...],
        *_: object,
    ) -> None:
        if statement.startswith("SELECT") and "LIMIT" in statement and "ORDER BY" in statement:
            asked.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        add(tenant)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert asked
    with db.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[-1][0]}", asked[-1][1]).all()
    assert index in plan[0].detail
    assert not [step for step in plan if "TEMP B-TREE" in step.detail]
