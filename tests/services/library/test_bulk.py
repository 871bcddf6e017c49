"""Changes of many assets at once: as if each were changed by itself."""

from collections import Counter
from uuid import uuid4

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.errors import BadRequest
from app.extensions import transaction
from app.models import Asset, AssetCount, AssetTag
from app.services.library import assets, bulk, facet_counts, folding
from app.services.library.labels import MAX_TAGS
from tests.conftest import Account
from tests.databases import on_both_databases, statements
from tests.library import empty, make_asset, make_collection, store

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]

TAGS = ["beach", "Beach", "straße", "a, b", "<b>"]
PLACES = ["a", "b", None]
HAD = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["beach", "straße", "a, b"]), unique=True),
        st.sampled_from(PLACES),
    ),
    min_size=1,
    max_size=5,
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "move"]),
        st.sets(st.integers(0, 4), min_size=1),
        st.lists(st.sampled_from(TAGS), min_size=1, max_size=3),
        st.sampled_from(PLACES),
    ),
    min_size=1,
    max_size=4,
)


def fill(account: Account, had: list[tuple[list[str], str | None]]) -> tuple[list[str], str]:
    """A library of its own, and the beginning of its collections' ids."""
    own = uuid4().hex[:8]
    with transaction(account.org_id, "live") as session:
        empty(session)
        session.add_all(make_collection(f"col_{own}_{name}") for name in "ab")
        session.flush()
        made = [
            make_asset(
                f"ast_{own}_{number}", tags=tags, collection_id=place and f"col_{own}_{place}"
            )
            for number, (tags, place) in enumerate(had)
        ]
        ids = [asset.id for asset in made]
        store(session, made)
    return ids, f"col_{own}_"


def content(account: Account) -> object:
    """Everything that says where assets are and what is found of them, without the names' ids."""
    with transaction(account.org_id, "live") as session:
        rows = session.scalars(select(Asset).order_by(Asset.id)).all()
        numbers = {row.facet: row.count for row in session.scalars(select(AssetCount)) if row.count}
        tags = sorted((row.asset_id, row.tag) for row in session.scalars(select(AssetTag)))
        counted = Counter(facet for row in rows for facet in facet_counts.facets_of(row))
        assert numbers == counted
        return (
            [(row.id[-2:], row.tags, row.search, (row.collection_id or "")[-2:]) for row in rows],
            [(asset_id[-2:], tag) for asset_id, tag in tags],
        )


def one_by_one(
    account: Account, ids: list[str], how: str, tags: list[str], place: str | None
) -> None:
    """What ``assets.change`` makes of each."""
    for asset_id in ids:
        with transaction(account.org_id, "live") as session:
            own = assets.get(session, asset_id).tags
            if how == "move":
                assets.change(session, asset_id, {"collection_id": place})
            elif how == "add":
                assets.change(session, asset_id, {"tags": folding.distinct_tags([*own, *tags])})
            else:
                gone = {folding.tag_key(tag) for tag in tags}
                kept = [tag for tag in own if folding.tag_key(tag) not in gone]
                assets.change(session, asset_id, {"tags": kept})


def at_once(account: Account, ids: list[str], how: str, tags: list[str], place: str | None) -> None:
    with transaction(account.org_id, "live") as session:
        if how == "move":
            bulk.move(session, ids, place)
        else:
            (bulk.add_tags if how == "add" else bulk.remove_tags)(session, ids, tags)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(had=HAD, steps=STEPS)
def test_many_at_once_are_as_one_by_one(
    acme: Account,
    globex: Account,
    had: list[tuple[list[str], str | None]],
    steps: list[tuple[str, set[int], list[str], str | None]],
) -> None:
    libraries = {account: fill(account, had) for account in (acme, globex)}
    for how, chosen, tags, place in steps:
        for account, change in ((acme, at_once), (globex, one_by_one)):
            ids, folder = libraries[account]
            some = [ids[number] for number in sorted(chosen) if number < len(ids)]
            change(account, some, how, tags, place and folder + place)
    assert content(acme) == content(globex)


def test_what_was_done_is_said(acme: Account, globex: Account) -> None:
    ids, folder = fill(acme, [(["beach"], None), ([], None), ([], "a")])
    theirs, _ = fill(globex, [(["beach"], None)])
    asked = [*ids, theirs[0], ids[0], "ast_never"]
    with transaction(acme.org_id, "live") as session:
        done = bulk.add_tags(session, asked, ["Beach"])
        assert done == bulk.Done(ids[1:], [theirs[0], "ast_never"], [])
        assert bulk.move(session, asked, f"{folder}a").changed == ids[:2]
        assert bulk.move(session, asked, f"{folder}a").changed == []
        assert bulk.remove_tags(session, asked, ["BEACH"]).changed == ids
        assert [row.tags for row in bulk.of_ids(session, asked)] == [[], [], []]
    with transaction(globex.org_id, "live") as session:
        assert assets.get(session, theirs[0]).tags == ["beach"]


def test_an_asset_has_so_many_tags_and_no_more(acme: Account) -> None:
    full = [f"tag {number}" for number in range(MAX_TAGS)]
    ids, _ = fill(acme, [(full, None), (full[1:], None)])
    with transaction(acme.org_id, "live") as session:
        assert bulk.add_tags(session, ids, ["one more"]) == bulk.Done([ids[1]], [], [ids[0]])
        assert bulk.add_tags(session, ids, ["tag 3"]) == bulk.Done([], [], [])
        assert assets.get(session, ids[0]).tags == full


def test_another_organizations_collection_is_none(acme: Account, globex: Account) -> None:
    ids, _ = fill(acme, [([], None)])
    _, theirs = fill(globex, [([], None)])
    with transaction(acme.org_id, "live") as session, pytest.raises(BadRequest):
        bulk.move(session, ids, f"{theirs}a")


@pytest.mark.parametrize("ids", [[], ["ast_\0"], ["ast"] * (bulk.MAX_IDS + 1)])
def test_ids_are_some_and_not_too_many(app: Flask, ids: list[str]) -> None:
    with pytest.raises(BadRequest):
        bulk.check_ids(ids)


def test_statements_do_not_grow_with_the_assets(app: Flask, acme: Account) -> None:
    numbers = []
    for many in (2, 40):
        ids, folder = fill(acme, [(["beach"], "b")] * many)
        with statements(app) as sent, transaction(acme.org_id, "live") as session:
            bulk.add_tags(session, ids, ["a", "b"])
            bulk.remove_tags(session, ids, ["beach", "a"])
            bulk.move(session, ids, f"{folder}a")
            bulk.move(session, ids, None)
        numbers.append(len(sent))
    assert numbers[0] == numbers[1] <= 45
