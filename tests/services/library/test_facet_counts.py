"""Counts of facets: always what counting would find, whoever writes at the same time."""

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import uuid4

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app.extensions import transaction
from app.models import Asset, AssetCount, MediaType
from app.services.library import facet_counts
from tests.conftest import Account
from tests.databases import on_both_databases, statements
from tests.library import make_asset

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]


def kept(account: Account, mode: str = "live") -> dict[str, int]:
    """What is counted now, without the zero of an empty library."""
    with transaction(account.org_id, mode) as session:
        return {row.facet: row.count for row in session.scalars(select(AssetCount)) if row.count}


def shift(
    account: Account, before: Iterable[str], after: Iterable[str], mode: str = "live"
) -> None:
    with transaction(account.org_id, mode) as session:
        facet_counts.apply_change(session, set(before), set(after))


ASSETS = st.builds(
    lambda media_type, tags, collection: facet_counts.facets_of(
        Asset(media_type=media_type, kind="jpeg", tags=tags, collection_id=collection)
    ),
    st.sampled_from(MediaType),
    st.lists(st.sampled_from(["beach", "Beach", "ß", "50%", "🦎"]), unique=True),
    st.sampled_from([None, "col_a", "col_b"]),
)
LIVES = st.lists(st.lists(ASSETS, min_size=1, max_size=4), max_size=5)
"""Each asset's facets when it is created and after each change."""


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lives=LIVES, gone=st.sets(st.integers(0, 4)))
def test_counts_are_what_counting_would_find(
    acme: Account, lives: list[list[set[str]]], gone: set[int]
) -> None:
    with transaction(acme.org_id, "live") as session:
        session.change(delete(AssetCount))
    left: Counter[str] = Counter()
    for number, states in enumerate(lives):
        for before, after in pairwise([set(), *states, *([set()] if number in gone else [])]):
            shift(acme, before, after)
        left.update(() if number in gone else states[-1])
    assert kept(acme) == left


def test_facets_follow_from_the_asset() -> None:
    asset = make_asset("ast_1", media_type=MediaType.VIDEO, tags=["a", "b"], collection_id="col_1")
    assert facet_counts.facets_of(asset) == {
        "all",
        "type:VIDEO",
        "kind:jpeg",
        "collection:col_1",
        "tag:a",
        "tag:b",
    }
    asset.collection_id, asset.tags = None, []
    assert facet_counts.facets_of(asset) == {"all", "type:VIDEO", "kind:jpeg"}


def test_tags_that_nothing_carries_any_more_are_forgotten(acme: Account) -> None:
    for number in range(3):
        shift(acme, set(), {"all", f"tag:{number}"})
        shift(acme, {"all", f"tag:{number}"}, set())
    with transaction(acme.org_id, "live") as session:
        assert [(row.facet, row.count) for row in session.scalars(select(AssetCount))] == [
            ("all", 0)
        ]


def test_a_facet_may_return_in_the_transaction_that_emptied_it(acme: Account) -> None:
    with transaction(acme.org_id, "live") as session:
        for _ in range(2):
            facet_counts.apply_change(session, set(), {"all", "tag:a"})
            facet_counts.apply_change(session, {"all", "tag:a"}, set())
        facet_counts.apply_change(session, set(), {"all", "tag:a"})
    assert kept(acme) == {"all": 1, "tag:a": 1}


def test_a_dropped_collection_is_not_counted_and_its_assets_are(acme: Account) -> None:
    shift(acme, set(), {"all", "collection:a"})
    shift(acme, set(), {"all", "collection:b"})
    with transaction(acme.org_id, "live") as session:
        facet_counts.drop_collection(session, "a")
    assert kept(acme) == {"all": 2, "collection:b": 1}


def test_workspaces_are_counted_apart(acme: Account, globex: Account) -> None:
    shift(acme, set(), {"all", "tag:a"})
    shift(acme, set(), {"all", "tag:b"}, mode="test")
    assert kept(acme) == {"all": 1, "tag:a": 1}
    assert kept(acme, "test") == {"all": 1, "tag:b": 1}
    assert kept(globex) == {}


def test_numbers_are_told_in_the_order_asked_and_zero_for_the_unknown(acme: Account) -> None:
    shift(acme, set(), {"all", "tag:a"})
    with transaction(acme.org_id, "live") as session:
        assert list(facet_counts.of(session, ["tag:z", "tag:a", "all"]).items()) == [
            ("tag:z", 0),
            ("tag:a", 1),
            ("all", 1),
        ]


def test_fifty_tags_take_few_statements(app: Flask, acme: Account) -> None:
    first, second = (
        {"all", *(f"tag:{word}{number}" for number in range(50))} for word in ("old", "new")
    )
    shift(acme, set(), first)
    with statements(app) as sent:
        shift(acme, first, second)
        most = len(sent)
        shift(acme, second, second)
    assert most <= 7
    assert len(sent) == most, "what stays as it is needs no statement"


@pytest.mark.parametrize("shared", [True, False], ids=["first-asset-at-once", "own-tags"])
def test_parallel_writers_lose_nothing_and_never_deadlock(
    app: Flask, acme: Account, shared: bool
) -> None:
    """Each thread tags, retags in the reverse order and deletes, so that rows are touched in every
    order."""
    words = [f"tag:{uuid4().hex[:6]}" for _ in range(6)]

    def write(thread: int) -> None:
        own = words if shared else [*words, f"tag:own{thread}"]
        with app.app_context():
            for turn in range(6):
                shift(acme, set(), {"all", "type:IMAGE", *own[: 3 + turn % 4]})
                shift(acme, {"all", *own[: 3 + turn % 4]}, {"all", *own[-2:]})
                if turn % 2:
                    shift(acme, {"all", "type:IMAGE", *own[-2:]}, set())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    left = kept(acme)
    assert (left.pop("all"), left.pop("type:IMAGE")) == (24, 24)
    assert sum(left.values()) == 48


def test_a_writer_waits_for_the_one_who_holds_the_lock(app: Flask, acme: Account) -> None:
    """Two that both begin from 'the asset has tag a' take turns: the second one sees what the first
    has left."""
    shift(acme, set(), {"all", "tag:a"})

    def retag(word: str) -> None:
        with app.app_context(), transaction(acme.org_id, "live") as session:
            facet_counts.lock(session)
            before = {row.facet for row in session.scalars(select(AssetCount)) if row.count}
            facet_counts.apply_change(session, before, {"all", word})

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(retag, ["tag:b", "tag:c"] * 8))
    assert sum(number for facet, number in kept(acme).items() if facet != "all") == 1
