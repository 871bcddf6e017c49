"""The tree of collections in the dashboard."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.models import Asset, Collection, Mode, Role, new_id
from app.services.library import collection_tree
from app.services.library.collection_tree import Tree
from tests.client import Answer, ApiClient
from tests.clock import NOON
from tests.conftest import Account, AccountMaker
from tests.conftest import SignIn as SignInMaker
from tests.databases import on_both_databases
from tests.forms import SAME_SITE, post, text_of
from tests.library import MOMENT, make_asset, make_collection, store

JSON = {**SAME_SITE, "Accept": "application/json"}


@pytest.fixture
def member(acme: Account, sign_in: SignInMaker) -> ApiClient:
    return sign_in(acme, Role.MEMBER)


def home(account: Account) -> str:
    return f"{account.home}/library/collections"


def create(client: ApiClient, account: Account, name: str, parent_id: str = "") -> str:
    path = home(account)
    answer = client.post(path, data={"name": name, "parentId": parent_id}, headers=JSON)
    assert answer.status_code == 200, answer.text
    return str(answer.json["id"])


def rows(app: Flask, account: Account, mode: Mode = Mode.LIVE) -> dict[str, tuple[Any, Any]]:
    """Name → parent's id and colour."""
    with app.app_context(), transaction(account.org_id, mode) as session:
        return {one.name: (one.parent_id, one.color) for one in session.scalars(select(Collection))}


def tree(app: Flask, account: Account) -> Tree:
    with app.app_context(), transaction(account.org_id, Mode.LIVE) as session:
        return collection_tree.read(session)


def listed(answer: Answer) -> list[str]:
    return [part.split('"')[0] for part in answer.text.split('data-name="')[1:]]


def test_a_form_makes_a_collection_and_leads_to_it(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    for said in ("is made", "is there already"):
        answer = post(member, home(acme), name=" Summer ")
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith(f"{acme.home}/library?collectionId=col_")
        with member.session_transaction() as session:
            assert said in session.pop("_flashes")[0][1]
    assert rows(app, acme) == {"Summer": (None, None)}


def test_it_is_renamed_coloured_moved_and_deleted(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    outer, inner = create(member, acme, "Outer"), create(member, acme, "Inner")
    path = f"{home(acme)}/{inner}"
    post(member, path, name="Wall", color="#30a46c")
    post(member, f"{path}/move", parentId=outer)
    assert rows(app, acme) == {"Outer": (None, None), "Wall": (outer, "#30a46c")}
    shown = member.get(path)
    assert "Collection in Outer" in text_of(shown)
    post(member, path, name="Wall", color="")
    post(member, f"{path}/move", parentId="")
    assert rows(app, acme)["Wall"] == (None, None)
    gone = post(member, f"{path}/delete")
    assert gone.headers["Location"] == f"{acme.home}/library"
    assert list(rows(app, acme)) == ["Outer"]


@pytest.mark.parametrize(
    ("path", "fields", "problem"),
    [
        ("", {}, "ive the collection a name of 1 to 255 characters"),
        ("", {"name": "x" * 256}, "ive the collection a name of 1 to 255 characters"),
        ("/{inner}", {"name": "a\x07b"}, "control characters"),
        ("/{inner}", {"name": "Inner", "color": "red"}, "color"),
        ("/{inner}", {"name": "Twin"}, "There is a collection 'Twin' there already"),
        ("/{outer}/move", {"parentId": "{inner}"}, "can't lie within itself"),
        ("/{outer}/move", {"parentId": "{outer}"}, "can't lie within itself"),
        ("/{inner}/move", {"parentId": "col_nowhere"}, "does not exist"),
        ("/{outer}/delete", {}, "2 collections in it: move or delete"),
    ],
)
def test_what_is_refused_is_said_at_its_place(
    app: Flask,
    acme: Account,
    member: ApiClient,
    path: str,
    fields: dict[str, str],
    problem: str,
) -> None:
    outer = create(member, acme, "Outer")
    inner = create(member, acme, "Inner", outer)
    create(member, acme, "Twin", outer)
    before = rows(app, acme)
    path = home(acme) + path.format(outer=outer, inner=inner)
    fields = {name: text.format(outer=outer, inner=inner) for name, text in fields.items()}
    page = post(member, path, **fields)
    assert page.status_code in (400, 409)
    assert problem in text_of(page)
    assert 'role="alert"' in page.text
    told = member.post(path, data=fields, headers=JSON)
    assert told.status_code == page.status_code
    assert problem in told.json["error"]
    assert rows(app, acme) == before


@on_both_databases
def test_the_tree_counts_what_lies_in_each(app: Flask, acme: Account) -> None:
    with app.app_context(), transaction(acme.org_id, Mode.LIVE) as session:
        a, b = new_id("col", NOON), new_id("col", NOON)
        session.add_all([make_collection(a), make_collection(b)])
        session.flush()
        store(
            session,
            [make_asset(new_id("image", NOON), collection_id=where) for where in (a, a, None)],
        )
    found = tree(app, acme)
    assert (found.nodes[a].assets, found.nodes[b].assets, found.assets) == (2, 0, 3)


def test_names_are_in_the_order_in_which_people_count(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    for name in ("Roll 10", "roll 2", "Émile", "Zoo", "eden"):
        create(member, acme, name)
    names = [node.name for node in tree(app, acme).inside(None)]
    assert names == ["eden", "Émile", "roll 2", "Roll 10", "Zoo"]


def test_deleting_keeps_the_images(app: Flask, acme: Account, member: ApiClient) -> None:
    made = create(member, acme, "Autumn")
    with app.app_context(), transaction(acme.org_id, Mode.LIVE) as session:
        store(session, [make_asset("image_autumn", collection_id=made)])
    assert "Its 1 image stays in the library" in text_of(member.get(f"{home(acme)}/{made}"))
    post(member, f"{home(acme)}/{made}/delete")
    with app.app_context(), transaction(acme.org_id, Mode.LIVE) as session:
        assert session.get_one(Asset, "image_autumn").collection_id is None


def test_a_large_tree_is_listed_as_far_as_it_is_open(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    """Collections lie up to thousands deep and thousands wide."""
    deep = [f"deep{number:04}" for number in range(1500)]
    wide = [f"wide{number:04}" for number in range(450)]
    parents = {name: (deep[at - 1] if at else None) for at, name in enumerate(deep)}
    with app.app_context(), transaction(acme.org_id, Mode.LIVE) as session:
        for name in (*deep, *wide):
            session.add(
                Collection(
                    id=f"{acme.slug[:8]}{name}",
                    name=name,
                    parent_id=parents.get(name) and f"{acme.slug[:8]}{parents[name]}",
                    place=f"{parents.get(name) or ''}/{name}",
                    created_at=MOMENT,
                    updated_at=MOMENT,
                )
            )
            session.flush()
    top = listed(member.get(f"{home(acme)}?part=tree"))
    assert len(top) == 200
    part = member.get(f"{home(acme)}?part=rows&from=200")
    assert listed(part) == [f"wide{number:04}" for number in range(199, 399)]
    assert "Show 51 more" in part.text
    assert len(listed(member.get(f"{home(acme)}?part=rows&from=400"))) == 51
    below = member.get(f"{home(acme)}?part=rows&parent={acme.slug[:8]}deep0003")
    assert listed(below) == ["deep0004"]
    chosen = listed(member.get(f"{home(acme)}?part=tree&chosen={acme.slug[:8]}deep1499"))
    assert chosen[:1501] == [*deep, "wide0000"]
    assert member.get(f"{home(acme)}?parent=col_nowhere").status_code == 404


def test_the_modes_have_trees_of_their_own(app: Flask, acme: Account, member: ApiClient) -> None:
    create(member, acme, "Live one")
    answer = post(member, f"{home(acme)}?mode=test", name="Trial")
    assert answer.headers["Location"].endswith("&mode=test")
    assert list(rows(app, acme)) == ["Live one"]
    assert list(rows(app, acme, Mode.TEST)) == ["Trial"]
    page = member.get(f"{home(acme)}?mode=test")
    assert "Live one" not in page.text
    assert f'action="{home(acme)}?mode=test"' in page.text


def test_viewers_see_the_tree_only(
    app: Flask, acme: Account, member: ApiClient, sign_in: SignInMaker
) -> None:
    made = create(member, acme, "Autumn")
    viewer = sign_in(acme, Role.VIEWER)
    part = viewer.get(f"{home(acme)}?part=tree")
    assert "Autumn" in part.text
    assert "<form" not in part.text
    assert "Change Autumn" not in part.text
    assert viewer.get(f"{home(acme)}/{made}").status_code == 403
    for path in ("", f"/{made}", f"/{made}/move", f"/{made}/delete"):
        assert post(viewer, home(acme) + path, name="Mine").status_code == 403
    assert list(rows(app, acme)) == ["Autumn"]


def test_the_plan_must_organize(
    app: Flask, make_account: AccountMaker, sign_in: SignInMaker
) -> None:
    account = make_account(plan="FREE")
    owner = sign_in(account, Role.OWNER)
    assert post(owner, home(account), name="Mine").status_code == 402
    assert "<form" not in owner.get(f"{home(account)}?part=tree").text
    assert post(owner, f"{home(account)}?mode=test", name="Mine").status_code == 303
