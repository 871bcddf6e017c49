"""The library's page: what it shows, what its addresses hold, what many images go through at
once."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask

from app.extensions import transaction
from app.models import Asset, MediaType, Role
from app.services.library import assets
from tests.client import Answer, ApiClient
from tests.conftest import Account
from tests.conftest import SignIn as SignInMaker
from tests.databases import on_both_databases, statements
from tests.forms import SAME_SITE, text_of
from tests.library import MOMENT, make_asset, make_collection, store

JSON = {**SAME_SITE, "Accept": "application/json"}


@pytest.fixture
def member(acme: Account, sign_in: SignInMaker) -> ApiClient:
    return sign_in(acme, Role.MEMBER)


def fill(app: Flask, account: Account, *made: Asset, mode: str = "live") -> list[str]:
    with app.app_context(), transaction(account.org_id, mode) as session:
        session.add(make_collection(f"col_{account.org_id[-9:]}_{mode}"))
        session.flush()
        ids = [asset.id for asset in made]
        store(session, made)
    return ids


def some(account: Account, number: int, **fields: Any) -> list[Asset]:
    """Assets of which each is newer than the one before."""
    return [
        make_asset(
            f"ast_{account.org_id[-9:]}_{count:04}",
            f"photo {count}.jpg",
            **{"uploaded_at": MOMENT + timedelta(minutes=count), **fields},
        )
        for count in range(number)
    ]


def library(account: Account, query: str = "") -> str:
    return f"{account.home}/library{query}"


def shown(answer: Answer) -> list[str]:
    """The ids of the tiles, in their order."""
    assert answer.status_code == 200, answer.text
    return re.findall(r'<li class="tile [^>]*data-id="([^"]+)"', answer.text)


def send(client: ApiClient, path: str, ids: list[str], **fields: str) -> Answer:
    return client.post(path, data={"ids": ids, **fields}, headers=JSON)


def test_an_empty_library_says_what_it_is_for(acme: Account, member: ApiClient) -> None:
    page = member.get(library(acme))
    assert "No images yet" in page.text
    assert "curl" in page.text
    assert 'id="count">0 images' in page.text.replace("\n", "")


def test_the_newest_come_first_and_the_rest_by_links(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    ids = fill(app, acme, *some(acme, 130))
    page, found = member.get(library(acme)), []
    while True:
        found += shown(page)
        more = re.search(r'<a id="more"[^>]* href="([^"]+)"', page.text)
        if not more:
            break
        page = member.get(unescape(more[1]))
        assert "Back to the first page" in page.text
    assert found == ids[::-1]
    assert "130 images" in page.text


def test_parts_are_the_page_s_without_its_frame(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    ids = fill(app, acme, *some(acme, 3))
    query = "?q=photo+1"
    results = member.get(library(acme, f"/results{query}"))
    assert shown(results) == shown(member.get(library(acme, query))) == [ids[1]]
    tiles = member.get(library(acme, f"/tiles?id={ids[2]}&id=ast_never&id={ids[0]}"))
    assert shown(tiles) == [ids[2], ids[0]]
    assert shown(member.get(library(acme, f"/tiles/{ids[1]}"))) == [ids[1]]
    for part in (results, tiles):
        assert "<html" not in part.text
        assert "Dashboard" not in part.text


def test_filters_stand_in_the_address_and_can_be_taken_away(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    folder = f"col_{acme.org_id[-9:]}_live"
    wanted = make_asset(
        "ast_w" + acme.org_id[-9:], "Lake.webp", kind="webp", tags=["a, b", "hero"], size=5000,
        collection_id=folder,
    )  # fmt: skip
    fill(app, acme, *some(acme, 5, size=10), wanted)
    filters = {
        "q": "lake", "type": "IMAGE", "collectionId": folder, "tags": '"a, b"', "kind": "webp",
        "minSize": "1000", "maxSize": "6000", "uploadedAfter": "2026-05-01",
        "uploadedBefore": "2026-05-01", "published": "false",
    }  # fmt: skip
    for name, value in filters.items():
        assert wanted.id in shown(member.get(library(acme), query_string={name: value})), name
    page = member.get(library(acme), query_string={**filters, "sort": "name"})
    assert shown(page) == [wanted.id]
    assert "1 image found" in page.text
    chips = re.findall(r'<a class="chip on" href="([^"]+)"', page.text)
    assert len(chips) == 8
    for chip in map(unescape, chips):
        without = member.get(chip)
        assert shown(without) == [wanted.id]
        assert len(re.findall('class="chip on"', without.text)) == 8
    cleared = re.search(r'href="([^"]+)"[^>]*>Clear all<', page.text)
    assert cleared
    assert unescape(cleared[1]) == library(acme, "?sort=name")


def test_nothing_found_names_the_filters(app: Flask, acme: Account, member: ApiClient) -> None:
    fill(app, acme, *some(acme, 2))
    page = member.get(library(acme), query_string={"q": "nowhere", "tags": "<b>none</b>"})
    assert shown(page) == []
    assert "No image matches “nowhere”, <b>none</b>" in text_of(page)
    assert "<b>none" not in page.text


@pytest.mark.parametrize(
    "query", ["cursor=nonsense", "sort=weight", "minSize=many", "kind=doc", "uploadedAfter=soon"]
)
def test_addresses_that_mean_nothing_are_refused(
    acme: Account, member: ApiClient, query: str
) -> None:
    for path in ("", "/results"):
        assert member.get(library(acme, f"{path}?{query}")).status_code == 400
    answer = member.get(library(acme, f"/tiles?{query}"), headers=JSON)
    assert (answer.status_code, answer.json["code"]) == (400, "bad_request")


def test_test_data_is_apart_and_stays_so_by_every_link(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    (live,) = fill(app, acme, make_asset("ast_l" + acme.org_id[-9:], "live.jpg"))
    (test,) = fill(app, acme, make_asset("ast_t" + acme.org_id[-9:], "test.jpg"), mode="test")
    assert shown(member.get(library(acme))) == [live]
    page = member.get(library(acme, "?mode=test&q=test"))
    assert shown(page) == [test]
    results = page.text[page.text.index('id="results"') :]
    links = re.findall(r'(?:href|action)="(/dashboard/[^"]+/(?:library|assets)[^"]*)"', results)
    forms = [link for link in links if link == library(acme)]
    assert len(links) > len(forms) > 3
    assert all("mode=test" in link for link in links if link not in forms)
    assert results.count('name="mode" value="test"') >= len(forms)
    moved = send(member, library(acme, "/bulk/trash"), [test])
    assert moved.json["unknown"] == [test]


def test_tags_are_suggested_as_they_were_written(
    app: Flask, acme: Account, globex: Account, member: ApiClient
) -> None:
    fill(app, acme, *some(acme, 2, tags=["Dürer", "duo", "<b>"]))
    fill(app, globex, *some(globex, 1, tags=["dull"]))
    found = member.get(library(acme, "/tags?beginning=DU"))
    assert set(found.json["tags"]) == {"Dürer", "duo"}
    assert member.get(library(acme, "/tags?beginning=%00")).json["tags"] == []


def test_collections_are_offered_to_move_to(app: Flask, acme: Account, member: ApiClient) -> None:
    fill(app, acme)
    places = member.get(library(acme, "/places")).text
    assert f'<option value="col_{acme.org_id[-9:]}_live">' in places


def test_names_are_shown_as_they_are(app: Flask, acme: Account, member: ApiClient) -> None:
    names = ["<i>&\"'.jpg", "\u202e‮gpj.exe", "ü" * 255]
    made = [
        make_asset(f"ast_{acme.org_id[-9:]}_{number}", name) for number, name in enumerate(names)
    ]
    fill(app, acme, *made)
    page = member.get(library(acme))
    assert "<i>&" not in page.text
    for name in names:
        assert f'<b dir="auto">{name}</b>' in text_of(page)


@pytest.mark.parametrize(
    ("width", "height", "shape"), [(4000, 3000, 27), (1, 900, 10), (900, 1, 52), (640, 640, 20)]
)
def test_tiles_have_the_shape_of_their_pictures(
    app: Flask, acme: Account, member: ApiClient, width: int, height: int, shape: int
) -> None:
    fill(app, acme, *some(acme, 1, width=width, height=height))
    page = member.get(library(acme)).text
    assert f'class="tile s{shape}"' in page
    assert f'width="{width}" height="{height}"' in page


def test_videos_say_how_long_they_are(app: Flask, acme: Account, member: ApiClient) -> None:
    fill(app, acme, *some(acme, 1, media_type=MediaType.VIDEO, kind="mp4", duration_ms=83_000))
    assert "1:23" in member.get(library(acme)).text


def test_viewers_choose_nothing(app: Flask, acme: Account, sign_in: SignInMaker) -> None:
    (one,) = fill(app, acme, *some(acme, 1))
    viewer = sign_in(acme, Role.VIEWER)
    page = viewer.get(library(acme))
    assert shown(page) == [one]
    for control in ('class="pick"', 'id="selection"', "/bulk/", "data-act"):
        assert control not in page.text
    for path in ("tags", "move", "trash"):
        assert send(viewer, library(acme, f"/bulk/{path}"), [one]).status_code == 403


def test_without_the_workspace_one_may_look_and_delete(
    app: Flask, make_account: Any, sign_in: SignInMaker
) -> None:
    free = make_account("free", plan="FREE")
    (one,) = fill(app, free, *some(free, 1))
    member = sign_in(free, Role.MEMBER)
    page = member.get(library(free))
    assert "plan keeps what is here" in page.text
    assert 'data-act="trash"' in page.text
    for control in ('data-act="tag"', 'data-act="move"', 'data-act="export"'):
        assert control not in page.text
        assert control in member.get(library(free, "?mode=test")).text
    for path in ("tags", "move"):
        assert send(member, library(free, f"/bulk/{path}"), [one], tags="a").status_code == 402
    assert send(member, library(free, "/bulk/trash"), [one]).json["changed"] == [one]


@on_both_databases
def test_many_are_tagged_moved_and_deleted(
    app: Flask, acme: Account, globex: Account, sign_in: SignInMaker
) -> None:
    member = sign_in(acme)
    ids, (theirs,) = fill(app, acme, *some(acme, 3)), fill(app, globex, *some(globex, 1))
    asked = [*ids, theirs]
    tagged = send(member, library(acme, "/bulk/tags"), asked, how="add", tags='hero, "a, b"')
    assert tagged.json == {"changed": ids, "unknown": [theirs], "full": []}
    assert set(shown(member.get(library(acme), query_string={"tags": '"a, b"'}))) == set(ids)
    untagged = send(member, library(acme, "/bulk/tags"), ids[:1], how="remove", tags="Hero")
    assert untagged.json["changed"] == ids[:1]

    folder = f"col_{acme.org_id[-9:]}_live"
    moved = send(member, library(acme, "/bulk/move"), asked, collectionId=folder)
    assert (moved.json["changed"], moved.json["name"]) == (ids, folder)
    assert shown(member.get(library(acme, f"?collectionId={folder}"))) == ids[::-1]
    out = send(member, library(acme, "/bulk/move"), ids[:1], collectionId="")
    assert (out.json["changed"], out.json["name"]) == (ids[:1], None)

    gone = send(member, library(acme, "/bulk/trash"), asked)
    assert (sorted(gone.json["changed"]), gone.json["unknown"]) == (ids, [theirs])
    assert send(member, library(acme, "/bulk/trash"), asked).json["changed"] == []
    assert shown(member.get(library(acme))) == []
    with app.app_context(), transaction(globex.org_id, "live") as session:
        assert assets.get(session, theirs).tags == []


def test_plain_forms_lead_back_with_a_sentence(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    ids = fill(app, acme, *some(acme, 2))
    back = f"http://localhost{library(acme, '?q=photo')}"
    headers = {**SAME_SITE, "Referer": back}
    steps: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("tags", {"ids": ids, "tags": "hero", "how": "add"}, "Tags of 2 images changed."),
        ("move", {"ids": ids, "collectionId": ""}, "0 images moved to no collection."),
        ("trash", {"ids": ids[:1]}, "1 image moved to the trash."),
        ("trash", {}, "Choose images first."),
    )
    for path, fields, sentence in steps:
        answer = member.post(library(acme, f"/bulk/{path}"), data=fields, headers=headers)
        assert (answer.status_code, answer.headers["Location"]) == (303, library(acme, "?q=photo"))
        assert sentence in member.get(answer.headers["Location"]).text


@pytest.mark.parametrize(
    ("path", "fields", "problem"),
    [
        ("tags", {"tags": "a"}, "ids: choose at least one image"),
        ("tags", {"ids": "x", "tags": ""}, "tags: write at least one"),
        ("tags", {"ids": "x", "tags": "x" * 65}, "tags: write at least one, each of at most 64"),
        ("tags", {"ids": "x", "tags": "\x07"}, "control characters"),
        ("move", {"ids": "x", "collectionId": "col_never"}, "does not exist"),
        ("move", {"ids": "x", "collectionId": "\0"}, ""),
        ("trash", {"ids": ["x"] * 1001}, "at most 1,000"),
    ],
)
def test_what_cannot_be_done_is_said(
    acme: Account, member: ApiClient, path: str, fields: dict[str, Any], problem: str
) -> None:
    answer = member.post(library(acme, f"/bulk/{path}"), data=fields, headers=JSON)
    assert answer.status_code == 400
    assert problem in answer.json["error"]


@on_both_databases
def test_statements_do_not_grow_with_the_library(
    app: Flask, acme: Account, sign_in: SignInMaker
) -> None:
    member, numbers = sign_in(acme), []
    for made in (some(acme, 2), some(acme, 80)[2:]):
        with app.app_context(), transaction(acme.org_id, "live") as session:
            for asset in made:
                assets.add(session, asset, assets.Label(asset.name, ("hero",)))
        member.get(library(acme))
        with statements(app) as sent:
            member.get(library(acme, "?q=photo&tags=hero"))
        numbers.append(len(sent))
    assert numbers[0] >= numbers[1]
