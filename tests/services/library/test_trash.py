"""The trash: what comes back is as if it had never been deleted, and what is purged is gone."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, inspect, select

from app.errors import NotFound, QuotaExceeded
from app.extensions import transaction
from app.models import (
    Asset,
    AssetCount,
    AssetTag,
    AuditEntry,
    DiscardedObject,
    Rendition,
    StorageCounter,
    TrashedAsset,
    new_id,
)
from app.services.accounts import keys
from app.services.accounts.principal import MEGABYTE
from app.services.library import assets, collections, listing, publishing, storage_quota, trash
from app.services.library.assets import Label
from app.services.library.folding import tag_key
from app.services.library.listing import Filter, Sort
from app.services.library.trash import RETENTION, Totals
from app.tenancy import TenantSession
from tests.actors import A_KEY, TEST
from tests.clock import NOON, Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases, statements
from tests.library import make_asset

pytestmark = pytest.mark.usefixtures("context")
DAY = timedelta(days=1)
SIZE = 1000
FILES = ("assets", "thumbnails")
"""How the keys of an asset's objects begin."""


class Library:
    """The library of an organization, in one mode."""

    def __init__(self, account: Account, clock: Clock, mode: str = "live") -> None:
        self.account, self.clock, self.mode = account, clock, mode

    @contextmanager
    def session(self) -> Iterator[TenantSession]:
        with transaction(self.account.org_id, self.mode) as session:
            yield session

    def add(self, name: str = "photo.jpg", **fields: Any) -> str:
        asset_id = new_id("image", self.clock())
        label = Label(name, fields.pop("tags", ("beach",)), fields.pop("collection_id", None))
        values: dict[str, Any] = {"uploaded_at": self.clock(), "content": asset_id, **fields}
        with self.session() as session:
            asset = make_asset(asset_id, **values)
            assets.add(session, asset, label)
            storage_quota.release(session, -asset.size)
        return asset_id

    def put(self, *asset_ids: str) -> list[str]:
        with self.session() as session:
            return trash.put(session, A_KEY, asset_ids, self.clock())

    def restore(self, *asset_ids: str) -> list[str]:
        with self.session() as session:
            return trash.restore(session, asset_ids)

    def purge(self, *asset_ids: str) -> list[str]:
        with self.session() as session:
            return trash.purge(session, asset_ids)

    def sweep(self) -> int:
        with self.session() as session:
            return trash.release_expired(session, self.clock())

    def empty(self) -> Totals:
        with self.session() as session:
            return trash.empty(session, TEST, self.clock(), self.clock())

    @property
    def totals(self) -> Totals:
        with self.session() as session:
            return trash.totals(session)

    @property
    def stored(self) -> int:
        with self.session() as session:
            return storage_quota.used(session)

    @property
    def ids(self) -> list[str]:
        """What the library lists, the newest first."""
        with self.session() as session:
            page = listing.page_of(session, Filter(), Sort.UPLOADED_DESC, 100)
            return [asset.id for asset in page.assets]

    @property
    def trashed(self) -> list[str]:
        with self.session() as session:
            return [row.id for row in trash.page_of(session, None, 100).assets]

    @property
    def discarded(self) -> set[str]:
        with self.session() as session:
            return set(session.scalars(select(DiscardedObject.storage_key)))

    def state(self) -> dict[str, Any]:
        """All that the library knows of its assets."""
        columns = [column.key for column in inspect(Asset).column_attrs]
        with self.session() as session:
            return {
                "assets": [
                    {name: getattr(asset, name) for name in columns}
                    for asset in session.scalars(select(Asset).order_by(Asset.id))
                ],
                "tags": {(tag.asset_id, tag.tag) for tag in session.scalars(select(AssetTag))},
                "counts": {
                    row.facet: row.count
                    for row in session.scalars(select(AssetCount))
                    if row.count and not row.facet.startswith("trash")
                },
                "found": [
                    [
                        asset.id
                        for asset in listing.page_of(
                            session, Filter(q=words), Sort.UPLOADED, 100
                        ).assets
                    ]
                    for words in ("photo", "beach", "city")
                ],
            }

    def clear(self) -> None:
        with self.session() as session:
            for model in (Asset, TrashedAsset, AssetCount, DiscardedObject, StorageCounter):
                session.change(delete(model))
            session.flush()
            session.add(StorageCounter(bytes=0))


@pytest.fixture
def library(acme: Account, clock: Clock) -> Library:
    found = Library(acme, clock)
    found.clear()
    return found


@on_both_databases
def test_what_is_restored_is_as_it_was(library: Library, clock: Clock) -> None:
    with library.session() as session:
        collection = collections.create(session, "Trips", None, None, clock())[0].id
    first = library.add("first")
    middle = library.add(
        "Ünser Strand", tags=("beach", "ß"), collection_id=collection, original_name="strand.jpg"
    )
    library.add("last")
    with library.session() as session:
        asset = assets.get(session, middle)
        publishing.publish(session, asset)
        asset.origin, asset.made_from = "image", first
        asset.operations = [{"blur": {"sigma": 4.0}}]
        asset.added_by_kind, asset.added_by_id = "user", "user_1"
        asset.details = {"colours": ["#ff8800"]}
        token = asset.public_token
    before, stored = library.state(), library.stored
    assert library.put(middle, "nobody") == [middle]
    assert library.put(middle) == []
    assert middle not in library.ids
    assert library.trashed == [middle]
    assert (library.totals, library.stored) == (Totals(1, SIZE), stored)
    assert publishing.find(str(token)) is None
    assert library.discarded == set()
    with library.session() as session:
        row = trash.page_of(session, None, 10).assets[0]
        assert trash.deleted_by(row) == A_KEY
        assert trash.goes_at(row) == row.deleted_at + timedelta(days=30)
    assert library.restore(middle, "nobody") == [middle]
    assert library.restore(middle) == []
    assert library.state() == before
    assert (library.totals, library.stored, library.trashed) == (Totals(0, 0), stored, [])
    assert publishing.find(str(token)) is not None


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "restore", "purge", "empty"]), st.sets(st.integers(0, 4))
    ),
    max_size=6,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(actions=ACTIONS)
def test_after_any_actions_the_rest_is_as_if_nothing_had_been_deleted(
    library: Library, actions: list[tuple[str, set[int]]]
) -> None:
    """Counts, tags, search, quota and files: those of a library with only what is left."""
    library.clear()
    tags = [("beach",), ("city", "beach"), (), ("city",), ("ß", "50%")]
    ids = [library.add(f"photo {number}", tags=tags[number]) for number in range(5)]
    rows = {row["id"]: row for row in library.state()["assets"]}
    here, bin = set(ids), set[str]()
    for action, numbers in actions:
        chosen = {ids[number] for number in numbers}
        if action == "put":
            assert set(library.put(*sorted(chosen))) == chosen & here
            here, bin = here - chosen, bin | (chosen & here)
        elif action == "restore":
            assert set(library.restore(*sorted(chosen))) == chosen & bin
            here, bin = here | (chosen & bin), bin - chosen
        elif action == "purge":
            assert set(library.purge(*sorted(chosen))) == chosen & bin
            bin -= chosen
        else:
            assert library.empty() == Totals(len(bin), SIZE * len(bin))
            bin = set()
    left = library.state()
    assert {row["id"]: row for row in left["assets"]} == {one: rows[one] for one in here}
    tagged = {(one, tag_key(tag)) for one in here for tag in rows[one]["tags"]}
    facets = Counter(f"tag:{key}" for _, key in tagged)
    of_all = Counter(dict.fromkeys(("all", "type:IMAGE", "kind:jpeg"), len(here)))
    assert left["counts"] == +(facets + of_all)
    assert left["tags"] == tagged
    assert left["found"][0] == [one for one in ids if one in here]
    assert (library.totals, set(library.trashed)) == (Totals(len(bin), SIZE * len(bin)), bin)
    assert library.stored == SIZE * len(here | bin)
    library.sweep()
    assert len(library.discarded) == 2 * (len(ids) - len(here | bin))


@on_both_databases
def test_parallel_deletions_and_restorations_of_the_same_assets_lose_nothing(
    app: Flask, library: Library
) -> None:
    ids = [library.add(f"photo {number}") for number in range(6)]
    before = library.state()

    def act(number: int) -> int:
        with app.app_context():
            return len(library.put(*ids)) if number % 2 else -len(library.restore(*ids))

    with ThreadPoolExecutor(4) as threads:
        moved = sum(threads.map(act, range(12)))
    assert library.totals == Totals(moved, moved * SIZE)
    assert len(library.ids) + len(library.trashed) == len(ids)
    library.restore(*ids)
    assert library.state() == before
    assert library.stored == SIZE * len(ids)


@on_both_databases
def test_many_take_few_statements(app: Flask, library: Library) -> None:
    made = [
        make_asset(f"a{number}", tags=[f"tag {number}", "all"], content=str(number))
        for number in range(120)
    ]
    ids = [asset.id for asset in made]
    with library.session() as session:
        assets.put_back(session, made)
        storage_quota.release(session, -SIZE * len(made))
    with statements(app) as put:
        assert len(library.put(*ids)) == 120
    with statements(app) as restored:
        assert len(library.restore(*ids)) == 120
    library.put(*ids)
    with statements(app) as purged:
        assert len(library.purge(*ids)) == 120
    assert max(len(put), len(restored), len(purged)) < 25


def test_an_asset_that_is_not_there_cannot_be_deleted(library: Library) -> None:
    with pytest.raises(NotFound, match="'nobody' does not exist"), library.session() as session:
        trash.put_one(session, TEST, "nobody", NOON)


def test_a_collection_that_is_gone_does_not_come_back(library: Library, clock: Clock) -> None:
    with library.session() as session:
        made = [collections.create(session, name, None, None, clock())[0].id for name in "ab"]
    ids = [library.add(collection_id=collection) for collection in made]
    library.put(*ids)
    with library.session() as session:
        collections.delete(session, made[0])
    library.restore(*ids)
    with library.session() as session:
        found = [assets.get(session, one).collection_id for one in ids]
    assert found == [None, made[1]]
    assert library.state()["counts"][f"collection:{made[1]}"] == 1
    assert f"collection:{made[0]}" not in library.state()["counts"]


def test_renditions_go_unless_another_asset_has_the_content(library: Library, clock: Clock) -> None:
    ids = [library.add(content=content) for content in ("same", "same", "other")]

    def left() -> set[str]:
        with library.session() as session:
            return set(session.scalars(select(Rendition.content)))

    for content in ("same", "other"):
        with library.session() as session:
            session.add(
                Rendition(
                    id=content, content=content, transform_key="png", storage_key=content,
                    claim="", ready=False, lease_until=NOON, needed_until=NOON, created_at=NOON,
                )
            )  # fmt: skip
    library.put(ids[0], ids[2])
    assert (left(), library.discarded) == ({"same"}, {"other"})
    library.put(ids[1])
    assert (left(), library.discarded) == (set(), {"same", "other"})


@on_both_databases
def test_after_thirty_days_it_is_purged_by_the_sweep(
    library: Library, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trash, "MAX_PURGED_PER_SWEEP", 2)
    ids = [library.add() for _ in range(4)]
    library.put(*ids[:3])
    clock.advance(days=1)
    library.put(ids[3])
    clock.advance(days=29)
    for purged, left in ((2, 2), (1, 1), (0, 1)):
        assert (library.sweep(), len(library.trashed)) == (purged, left)
    assert (library.totals, library.stored) == (Totals(1, SIZE), SIZE)
    assert library.discarded == {f"{kind}/{one}" for one in ids[:3] for kind in FILES}
    assert library.restore(*ids) == [ids[3]]


@on_both_databases
def test_emptying_frees_the_space_at_once_and_the_sweep_removes_the_rest(
    library: Library, clock: Clock
) -> None:
    ids = [library.add() for _ in range(3)]
    library.put(*ids[:2])
    shown = clock()
    library.put(ids[2])
    with library.session() as session:
        lost = trash.empty(session, TEST, shown, clock())
    assert (lost, library.totals, library.stored) == (Totals(2, 2000), Totals(1, SIZE), SIZE)
    assert library.trashed == [ids[2]]
    assert library.restore(*ids[:2]) == library.purge(*ids[:2]) == []
    with library.session() as session:
        assert [trash.find(session, one) is None for one in ids] == [True, True, False]
        assert trash.empty(session, TEST, shown, clock()) == Totals(0, 0)
        entry = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "trash.emptied")
        ).one()
    assert entry.after == {"images": 2, "bytes": 2000, "mode": "live"}
    assert (library.sweep(), library.sweep()) == (2, 0)
    assert library.discarded == {f"{kind}/{one}" for one in ids[:2] for kind in FILES}
    assert (library.totals, library.stored) == (Totals(1, SIZE), SIZE)


def test_a_test_asset_goes_when_it_would_have_gone_anyway(acme: Account, clock: Clock) -> None:
    library = Library(acme, clock, "test")
    old, new = library.add(uploaded_at=clock() - 80 * DAY), library.add()
    library.put(old, new)
    with library.session() as session:
        rows = {row.id: row for row in trash.page_of(session, None, 10).assets}
    goes = [trash.goes_at(rows[one]) - rows[one].uploaded_at for one in (old, new)]
    assert goes[0] == assets.TEST_RETENTION
    assert RETENTION <= goes[1] < RETENTION + DAY
    clock.advance(days=10)
    assert (library.sweep(), library.trashed) == (1, [new])


def test_pages_go_on_where_the_last_one_ended(library: Library) -> None:
    ids = [library.add() for _ in range(5)]
    library.put(*ids[:3])
    library.put(*ids[3:])
    pages, place = [], None
    while True:
        with library.session() as session:
            page = trash.page_of(session, place, 2)
        pages.append([row.id for row in page.assets])
        if (place := page.next) is None:
            break
    assert pages == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]


def test_modes_and_organizations_have_a_trash_each(
    library: Library, globex: Account, acme: Account, clock: Clock
) -> None:
    mine = library.add()
    library.put(mine)
    for other in (Library(globex, clock), Library(acme, clock, "test")):
        assert (other.trashed, other.totals, other.restore(mine), other.purge(mine)) == (
            [], Totals(0, 0), [], [],
        )  # fmt: skip
        assert other.empty() == Totals(0, 0)
    assert library.trashed == [mine]


def test_a_refusal_for_lack_of_space_names_what_is_in_the_trash(
    library: Library, make_account: AccountMaker, clock: Clock
) -> None:
    account = make_account(plan="TEAM", storage_mb=3)
    full = Library(account, clock)
    full.clear()
    full.put(full.add(size=2 * MEGABYTE))
    with full.session() as session:
        allowance = keys.authenticate(account.key, clock(), 0).allowance
        with pytest.raises(QuotaExceeded, match=r"2 of 3 MB are used .* 2 MB are in the trash"):
            storage_quota.reserve(session, allowance, 2 * MEGABYTE)
