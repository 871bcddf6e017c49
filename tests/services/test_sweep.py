"""What a sweep removes: uploads that a crash left behind, and what test keys made long ago."""

import os
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from app.adapters.storage.local import LocalStorage
from app.extensions import db, transaction
from app.models import Asset, StripeEvent, new_id
from app.services.library import assets, facet_counts, storage_quota
from app.services.library.assets import Label
from app.services.sweep import sweep
from app.tenancy import unscoped
from tests.billing import BillingEnv
from tests.client import ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account
from tests.databases import on_both_databases
from tests.images import encoded
from tests.library import make_asset
from tests.workspace import upload

pytestmark = pytest.mark.usefixtures("context")
DAY = timedelta(days=1)


def test_abandoned_uploads_go_and_running_ones_stay(
    app: Flask, file_time: None, clock: Clock, tmp_path: Path
) -> None:
    """One that works writes into a file that has been there for hours: its folder's own time tells
    nothing of it."""
    hours_ago = (clock() - timedelta(hours=7)).timestamp()
    for name in ("abandoned", "running", "empty"):
        folder = tmp_path / name
        (folder / "inner").mkdir(parents=True)
        if name != "empty":
            (folder / "inner" / "upload-0").write_bytes(b"x")
        for path in (folder / "inner", folder):
            os.utime(path, (hours_ago, hours_ago))
    clock.advance(minutes=59)
    assert sweep(app.extensions["lightwell"].storage, tmp_path, clock())["work folders"] == 0
    clock.advance(minutes=2)
    os.utime(tmp_path / "running" / "inner" / "upload-0", (clock().timestamp(),) * 2)
    assert sweep(app.extensions["lightwell"].storage, tmp_path, clock())["work folders"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["running"]


def test_half_an_object_goes_two_hours_after_it_was_last_written_to(
    app: Flask, file_time: None, clock: Clock, tmp_path: Path
) -> None:
    storage = app.extensions["lightwell"].storage
    storage.put("tests/whole", [b"x"])
    half = storage.root / ".unfinished" / "killed"
    half.write_bytes(b"x")
    for minutes, left in ((119, True), (2, False)):
        clock.advance(minutes=minutes)
        sweep(storage, tmp_path, clock())
        assert half.exists() == left
    assert storage.size("tests/whole") == 1


def test_sweeping_twice_or_without_a_folder_is_harmless(
    app: Flask, clock: Clock, tmp_path: Path
) -> None:
    storage = app.extensions["lightwell"].storage
    for _ in range(2):
        assert sweep(storage, tmp_path / "never made", clock())["work folders"] == 0


def objects_of(storage: LocalStorage, account: Account) -> set[str]:
    paths = (path for path in storage.root.rglob("*") if path.is_file())
    return {str(path.relative_to(storage.root)) for path in paths if account.org_id in str(path)}


def test_what_test_keys_made_is_deleted_after_ninety_days(
    app: Flask, client: ApiClient, acme: Account, clock: Clock
) -> None:
    """As by hand: out of lists and counts, its space given back, its renditions and objects
    removed."""
    container = app.extensions["lightwell"]

    def run() -> Counter[str]:
        return sweep(container.storage, container.settings.spool_dir, clock())

    def status(asset: dict[str, Any], key: str) -> int:
        return client.get(f"/api/v1/assets/{asset['id']}", headers=bearer(key)).status_code

    live = upload(client, acme.key, encoded(width=64, height=48))
    kept = objects_of(container.storage, acme)
    test = upload(client, acme.test_key, encoded(width=80, height=60), tags=["tried"])
    exported = client.get(f"/api/v1/assets/{test['id']}/export-url", headers=bearer(acme.test_key))
    assert exported.status_code == 200
    assert len(objects_of(container.storage, acme)) == len(kept) + 3
    clock.advance(days=89, hours=23)
    run()
    assert status(test, acme.test_key) == 200
    clock.advance(hours=1, seconds=1)
    assert run()["test assets"] >= 1
    assert run()["test assets"] == 0
    assert (status(test, acme.test_key), status(live, acme.key)) == (404, 200)
    assert objects_of(container.storage, acme) == kept
    with transaction(acme.org_id, "test") as session:
        assert facet_counts.of(session, [facet_counts.ALL, facet_counts.of_tag("tried")]) == {
            facet_counts.ALL: 0,
            facet_counts.of_tag("tried"): 0,
        }
        assert storage_quota.used(session) == live["size"]
    clock.advance(days=1000)
    run()
    assert status(live, acme.key) == 200


def test_events_that_were_handled_are_forgotten_after_ninety_days(
    app: Flask, billing_env: BillingEnv, clock: Clock
) -> None:
    """Those that wait stay, however long."""
    container = app.extensions["lightwell"]
    customer = billing_env.stripe.customers.create("old@example.com")["id"]
    billing_env.stripe.subscriptions.create(customer, ["price_team_month"])
    billing_env.catch_up()
    handled = {one["id"] for one in billing_env.stripe.journal.events()}
    billing_env.stripe.customers.delete(customer)
    billing_env.deliver(billing_env.new_events)
    waiting = {
        one["id"]
        for one in billing_env.stripe.journal.events()
        if one["type"].startswith("customer.")
    } - handled

    def left() -> set[str]:
        sweep(container.storage, container.settings.spool_dir, clock())
        with transaction() as session:
            return set(session.scalars(select(StripeEvent.id))) & (handled | waiting)

    clock.advance(days=89)
    assert left() == handled | waiting
    clock.advance(days=1, seconds=5)
    assert left() == waiting


@on_both_databases
def test_many_old_test_assets_go_over_several_sweeps(
    app: Flask, acme: Account, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "MAX_EXPIRED_PER_SWEEP", 2)
    made = [new_id("image", clock() - days * DAY) for days in (95, 92, 91, 89)]
    for mode in ("test", "live"):
        with transaction(acme.org_id, mode) as session:
            for asset_id, days in zip(made, (95, 92, 91, 89), strict=True):
                asset_id = asset_id.replace("image", mode)
                assets.add(
                    session, make_asset(asset_id, uploaded_at=clock() - days * DAY), Label("old")
                )

    def left(mode: str) -> list[int]:
        with transaction(acme.org_id, mode) as session:
            return [
                made.index(asset.id.replace(mode, "image"))
                for asset in session.scalars(select(Asset))
            ]

    lefts, told = [], []
    for _ in range(3):
        said = app.test_cli_runner().invoke(args=["sweep"]).stdout
        told.append(bool(re.search(r"^test assets: \d+$", said, re.MULTILINE)))
        lefts.append(sorted(left("test")))
    assert lefts == [[2, 3], [3], [3]]
    assert told == [True, True, False]
    assert len(left("live")) == 4


def test_old_test_assets_are_found_by_their_own_index(clock: Clock) -> None:
    """Not by going through everybody's assets every minute; PostgreSQL decides by its
    statistics."""
    asked = []
    event.listen(
        db.engine, "before_cursor_execute", lambda *call: asked.append(call[2:4]), once=True
    )
    with transaction() as session, unscoped(session, "a test"):
        assets.partitions_with_expired(session, clock())
    with db.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[0][0]}", asked[0][1]).all()
    assert "ix_assets_of_test_keys (uploaded_at<?)" in plan[0].detail
