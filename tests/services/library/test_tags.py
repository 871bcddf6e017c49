"""The tags of a workspace, for those who type the beginning of one."""

import re

import pytest
from flask import Flask

from app.extensions import transaction
from app.services.library import assets
from app.services.library.tags import KnownTag, tags_of
from tests.conftest import Account
from tests.databases import on_both_databases, plan_of, statements
from tests.library import empty, make_asset, store

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]


def test_tags_are_told_by_use_in_a_spelling_that_somebody_wrote(
    app: Flask, acme: Account, globex: Account
) -> None:
    with transaction(acme.org_id, "live") as session:
        store(
            session,
            [
                make_asset("ast_1", tags=["Dog", "Dürer", "50%"]),
                make_asset("ast_2", tags=["dog", "door"]),
                make_asset("ast_3", tags=["DOG", "50_"]),
            ],
        )
    with transaction(globex.org_id, "live") as session:
        store(session, [make_asset("ast_other", tags=["dogs", "doom"])])
    try:
        with transaction(acme.org_id, "live") as session:
            with statements(app) as sent:
                found = tags_of(session, "D")
            assert len(sent) == 2
            assert found == [KnownTag("DOG", 3), KnownTag("door", 1), KnownTag("Dürer", 1)]
            assert tags_of(session, "DÖ", limit=1) == [KnownTag("DOG", 3)]
            assert [one.tag for one in tags_of(session, "dür")] == ["Dürer"]
            assert [one.tag for one in tags_of(session, "50%")] == ["50%"]
            assert [one.tag for one in tags_of(session)] == ["DOG", "50%", "50_", "door", "Dürer"]
            for nothing in ("dogs", "x", "\0", "\U0010ffff"):
                assert tags_of(session, nothing) == []
            assets.change(session, "ast_3", {"tags": ["x"]})
            assert tags_of(session, "dog") == [KnownTag("dog", 2)]
        with transaction(acme.org_id, "test") as session:
            assert tags_of(session) == []
    finally:
        for account in (acme, globex):
            with transaction(account.org_id, "live") as session:
                empty(session)


def test_the_spelling_is_found_by_the_index_of_tags(app: Flask, acme: Account) -> None:
    """By the tag too: PostgreSQL has none for texts that are compared in another collation."""
    with transaction(acme.org_id, "live") as session:
        store(session, [make_asset(f"ast_{tag}", tags=[tag]) for tag in ("blue", "red")])
    try:
        with transaction(acme.org_id, "live") as session, statements(app) as sent:
            assert {one.tag for one in tags_of(session)} == {"blue", "red"}
        plans = "\n".join(plan_of(app, one) for one in sent)
        found = re.findall(r"ix_asset_tags_tag \(.*\btag=\?|Index Cond: .*\(tag = ", plans)
        assert len(found) == 2, plans
    finally:
        with transaction(acme.org_id, "live") as session:
            empty(session)
