"""What an asset was made from, and what was made of it."""

import pytest

from app.extensions import transaction
from app.services.library import assets, provenance, trash
from app.services.library.assets import Label
from tests.actors import TEST
from tests.clock import NOON
from tests.conftest import Account
from tests.library import make_asset

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def chain(acme: Account) -> list[str]:
    """Six images, each made of the one before."""
    ids = [f"image_{number}{acme.org_id[-8:]}" for number in range(6)]
    with transaction(acme.org_id, "live") as session:
        for source, made in zip([None, *ids], ids, strict=False):
            asset = make_asset(made, made_from=source)
            assets.add(session, asset, Label(made))
    return ids


def ancestors(account: Account, asset_id: str, limit: int = 20) -> list[tuple[str, bool, bool]]:
    with transaction(account.org_id, "live") as session:
        return [
            (one.id, one.asset is not None, one.trashed is not None)
            for one in provenance.ancestors_of(session, assets.get(session, asset_id), limit)
        ]


def test_the_chain_leads_to_the_original(acme: Account, chain: list[str]) -> None:
    assert ancestors(acme, chain[3]) == [(one, True, False) for one in reversed(chain[:3])]
    assert ancestors(acme, chain[0]) == []
    assert [one[0] for one in ancestors(acme, chain[5], 2)] == [chain[4], chain[3]]


def test_what_is_in_the_trash_or_gone_is_a_gap(acme: Account, chain: list[str]) -> None:
    with transaction(acme.org_id, "live") as session:
        trash.put(session, TEST, [chain[1], chain[3]], NOON)
    with transaction(acme.org_id, "live") as session:
        assert ancestors(acme, chain[5]) == [
            (chain[4], True, False), (chain[3], False, True), (chain[2], True, False),
            (chain[1], False, True), (chain[0], True, False),
        ]  # fmt: skip
        assert provenance.children_of(session, assets.get(session, chain[2])).total == 0
    with transaction(acme.org_id, "live") as session:
        trash.empty(session, TEST, NOON, NOON)
    assert ancestors(acme, chain[5]) == [(chain[4], True, False), (chain[3], False, False)]


def test_a_loop_ends(acme: Account, chain: list[str]) -> None:
    with transaction(acme.org_id, "live") as session:
        assets.get(session, chain[0]).made_from = chain[5]
    assert [one[0] for one in ancestors(acme, chain[2])] == [chain[n] for n in (1, 0, 5, 4, 3)]


def test_children_are_counted_beyond_those_that_are_shown(acme: Account, chain: list[str]) -> None:
    with transaction(acme.org_id, "live") as session:
        for number in range(4):
            assets.add(session, make_asset(f"child{number}", made_from=chain[0]), Label("x"))
    with transaction(acme.org_id, "live") as session:
        source = assets.get(session, chain[0])
        few = provenance.children_of(session, source, 2)
        all_of_them = provenance.children_of(session, source)
    assert (len(few.assets), few.total) == (2, 5)
    assert (len(all_of_them.assets), all_of_them.total) == (5, 5)


def test_another_organization_s_images_are_gaps(
    acme: Account, globex: Account, chain: list[str]
) -> None:
    with transaction(globex.org_id, "live") as session:
        assets.add(session, make_asset("theirs", made_from=chain[0]), Label("x"))
    assert ancestors(globex, "theirs") == [(chain[0], False, False)]
    with transaction(acme.org_id, "live") as session:
        found = provenance.children_of(session, assets.get(session, chain[0]))
    assert [one.id for one in found.assets] == [chain[1]]
