"""Lists of assets: the right ones, in the right order, each exactly once, and never anybody
else's."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from app.errors import BadRequest
from app.extensions import transaction
from app.models import Asset, Collection, MediaType
from app.services.library import asset_query, facet_counts
from app.services.library.cursor import Place, decode, encode
from app.services.library.folding import fold, nfc, sort_name
from app.services.library.listing import AssetPage, Filter, Sort, page_of
from tests.conftest import Account
from tests.databases import on_both_databases, statements
from tests.library import MOMENT, empty, make_asset, make_collection, store

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]

FIELDS: dict[str, Callable[[Asset], object]] = {
    "uploadedAt": lambda asset: asset.uploaded_at,
    "name": lambda asset: asset.sort_name,
    "size": lambda asset: asset.size,
}
EVERYTHING = Filter()
COLLECTIONS = ["col_a", "col_b"]
KINDS = ["jpeg", "png", "raw"]
TAGS = ["beach", "Bëach", "straße", "50%s", "it's :a\\"]
WORDS = [
    "beach",
    "BEACH",
    "IMG_1",
    "img",
    "1.jpg",
    "50%",
    "a_b",
    "\\",
    '"',
    "'",
    "straße",
    "STRASSE",
    "é",
    "É",
    "İ",
    "東京都",
    "🦎",
]
NAMES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
MOMENTS = st.integers(0, 5).map(
    lambda minutes: MOMENT + timedelta(minutes=minutes, microseconds=minutes)
)


@pytest.fixture
def shelf(context: None, acme: Account, globex: Account) -> Iterator[Callable[..., None]]:
    """Make these assets all that acme's live library holds. Its rows go afterwards: tests use the
    same ids."""
    with transaction(acme.org_id, "live") as session:
        session.add_all(map(make_collection, COLLECTIONS))

    def fill(*assets: Asset) -> None:
        with transaction(acme.org_id, "live") as session:
            empty(session)
            store(session, assets)

    yield fill
    for account, mode in ((acme, "live"), (acme, "test"), (globex, "live")):
        with transaction(account.org_id, mode) as session:
            empty(session)
            session.change(delete(Collection))


@pytest.fixture
def ask(acme: Account) -> Callable[..., AssetPage]:
    def page(
        chosen: Filter = EVERYTHING,
        sort: Sort = Sort.UPLOADED,
        size: int = 50,
        mode: str = "live",
        **where: Any,
    ) -> AssetPage:
        with transaction(acme.org_id, mode) as session:
            return page_of(session, chosen, sort, size, **where)

    return page


def names(page: AssetPage) -> list[str]:
    return [asset.name for asset in page.assets]


def matches(asset: Asset, chosen: Filter) -> bool:
    """What a filter means, in plain words."""
    texts = [fold(text) for text in (asset.name, asset.original_name, *asset.tags)]
    return (
        chosen.media_type in (None, asset.media_type)
        and chosen.collection_id in (None, asset.collection_id)
        and set(map(fold, chosen.tags)) <= set(map(fold, asset.tags))
        and all(any(word in text for text in texts) for word in fold(chosen.q or "").split())
        and (not chosen.kinds or asset.kind in chosen.kinds)
        and (chosen.min_size is None or chosen.min_size <= asset.size)
        and (chosen.max_size is None or asset.size <= chosen.max_size)
        and (chosen.uploaded_from is None or chosen.uploaded_from <= asset.uploaded_at)
        and (chosen.uploaded_before is None or asset.uploaded_at < chosen.uploaded_before)
        and chosen.is_published in (None, asset.public_token is not None)
    )


LIBRARIES = st.lists(
    st.fixed_dictionaries(
        {
            "name": NAMES,
            "original_name": NAMES,
            "tags": st.lists(st.sampled_from(TAGS), unique=True, max_size=3),
            "media_type": st.sampled_from(MediaType),
            "collection_id": st.sampled_from([None, *COLLECTIONS]),
            "kind": st.sampled_from(KINDS[:2]),
            "is_published": st.booleans(),
            "size": st.integers(1, 5) | st.just(2**40),
            "uploaded_at": MOMENTS,
        }
    ),
    max_size=60,
)
FILTERS = st.builds(
    Filter,
    q=st.none()
    | st.sampled_from(WORDS)
    | NAMES
    | st.text("imgbeach1.%_ß東é", min_size=1, max_size=4),
    media_type=st.none() | st.sampled_from(MediaType),
    collection_id=st.none() | st.sampled_from([*COLLECTIONS, "col_unknown"]),
    tags=st.lists(st.sampled_from([*TAGS, "BEACH", "strasse"]), max_size=2).map(tuple),
    kinds=st.lists(st.sampled_from(KINDS), max_size=2).map(tuple),
    min_size=st.none() | st.integers(0, 6),
    max_size=st.none() | st.integers(0, 6) | st.just(2**63 - 1),
    uploaded_from=st.none() | MOMENTS,
    uploaded_before=st.none() | MOMENTS,
    is_published=st.none() | st.booleans(),
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    library=LIBRARIES,
    choices=st.lists(
        st.tuples(FILTERS, st.sampled_from(Sort), st.integers(1, 20)), min_size=4, max_size=4
    ),
    most=st.sampled_from([3, 10_000]),
)
def test_lists_hold_what_matches_once_and_in_order(
    monkeypatch: pytest.MonkeyPatch,
    acme: Account,
    shelf: Callable[..., None],
    ask: Callable[..., AssetPage],
    library: list[dict[str, Any]],
    choices: list[tuple[Filter, Sort, int]],
    most: int,
) -> None:
    """Against plain Python, by pages and by cursors, with a low bound of counting and with the real
    one."""
    monkeypatch.setattr(asset_query, "MAX_COUNTED", most)
    assets = [
        make_asset(
            f"ast_{number:024}", public_token=f"token{number}" if is_published else None, **fields
        )
        for number, fields in enumerate(library)
        for is_published in [fields.pop("is_published", False)]
    ]
    shelf(*assets)
    for chosen, sort, size in choices:
        expected = [asset for asset in assets if matches(asset, chosen)]
        expected.sort(key=lambda asset: (FIELDS[sort.field](asset), asset.id))
        if sort.is_descending:
            expected.reverse()
        ids = [asset.id for asset in expected]
        is_kept = not chosen.words and not chosen.ranges and chosen.conditions < 2
        is_exact = len(ids) <= most or (is_kept and chosen.is_published is None)
        first = ask(chosen, sort, size)
        assert (first.total, first.total_is_exact) == (len(ids) if is_exact else most, is_exact)
        assert [
            asset.id for page in by_number(ask, chosen, sort, size) for asset in page.assets
        ] == ids
        assert [
            asset.id for page in by_cursor(ask, chosen, sort, size) for asset in page.assets
        ] == ids


def by_number(
    ask: Callable[..., AssetPage], chosen: Filter, sort: Sort, size: int
) -> list[AssetPage]:
    pages = [ask(chosen, sort, size)]
    while pages[-1].assets:
        pages.append(ask(chosen, sort, size, page=len(pages) + 1))
    assert all(page.next_cursor is None for page in pages[-2:])
    return pages


def by_cursor(
    ask: Callable[..., AssetPage], chosen: Filter, sort: Sort, size: int
) -> list[AssetPage]:
    pages = [ask(chosen, sort, size)]
    while pages[-1].next_cursor:
        assert len(pages[-1].assets) == size
        pages.append(ask(chosen, sort, size, cursor=pages[-1].next_cursor))
        assert pages[-1].total == pages[0].total
    return pages


def test_an_empty_library_has_empty_lists(ask: Callable[..., AssetPage]) -> None:
    for chosen in (
        Filter(),
        Filter(q="a"),
        Filter(q="abc"),
        Filter(tags=("a",)),
        Filter(collection_id="col_none"),
    ):
        assert ask(chosen) == AssetPage([], 0, total_is_exact=True, next_cursor=None)


def test_names_are_sorted_in_any_case(
    shelf: Callable[..., None], ask: Callable[..., AssetPage]
) -> None:
    shelf(
        *(
            make_asset(f"ast_{name}", name)
            for name in ("banana", "Apple", "cherry", "apricot", "Banana2")
        )
    )
    assert names(ask(sort=Sort.NAME)) == ["Apple", "apricot", "banana", "Banana2", "cherry"]
    assert names(ask(sort=Sort.NAME_DESC)) == ["cherry", "Banana2", "banana", "apricot", "Apple"]


def test_names_are_sorted_as_people_count(
    shelf: Callable[..., None], ask: Callable[..., AssetPage]
) -> None:
    ordered = [
        *("#1.jpg", "7.jpg", "10.jpg", "20260501", "99999999999999999999", "a.jpg", "Éclair 2"),
        *("eclair 10", "img", "IMG_2.jpg", "img_10.jpg", "IMG_010b.jpg", "img_0100", "zoo", "éé~"),
        *("über", "z", "ж", "東"),
    ]
    ordered = sorted(ordered, key=sort_name)
    assert ordered.index("IMG_2.jpg") < ordered.index("img_10.jpg") < ordered.index("img_0100")
    assert ordered[:5] == ["#1.jpg", "7.jpg", "10.jpg", "20260501", "99999999999999999999"]
    shelf(*(make_asset(f"ast_{n}", name) for n, name in enumerate(reversed(ordered))))
    assert names(ask(sort=Sort.NAME)) == ordered
    assert [page.assets[0].name for page in by_cursor(ask, EVERYTHING, Sort.NAME, 1)] == ordered


@pytest.mark.parametrize("filler", ["", "xy"], ids=["short", "long"])
@pytest.mark.parametrize("character", ["%", "_", "\\", '"', "'", "*", "(", "-", "/"])
def test_wildcards_and_quotes_are_plain_characters(
    shelf: Callable[..., None], ask: Callable[..., AssetPage], character: str, filler: str
) -> None:
    shelf(
        make_asset("ast_1", f"1{character}{filler}9"),
        make_asset("ast_2", f"1z{filler}9"),
        make_asset("ast_3", "19"),
    )
    for q in (f"{character}{filler}", f"1{character}{filler}", f"1{character}{filler}9"):
        page = ask(Filter(q=q))
        assert (names(page), page.total) == ([f"1{character}{filler}9"], 1)


@pytest.mark.parametrize(
    ("name", "q", "found"),
    [
        ("CAFÉ.jpg", "café", True),
        ("CAFÉ.jpg", "cafe", True),
        ("DÜRER.jpg", "durer", True),
        ("Du\u0308rer.jpg", "DÜRER", True),
        ("Łódź.jpg", "lodz", True),
        ("lodz.jpg", "Łódź", True),
        ("ØRSTED æon.jpg", "orsted aeon", True),
        ("Straße 5.jpg", "STRASSE", True),
        ("STRASSE 5.jpg", "straße", True),
        ("İstanbul.jpg", "İSTANBUL", True),
        ("İstanbul.jpg", "istanbul", True),
        ("istanbul.jpg", "ISTANBUL", True),
        ("ılık.jpg", "ILIK", True),
        ("ΆΝΝΑ.jpg", "αννα", True),
        ("ガ.jpg", "ｶﾞ", True),
        ("हिन्दी.jpg", "हन्दी", False),  # vowels are no accents
        ("東京.jpg", "dongjing", False),
        ("ΟΔΟΣ.jpg", "οδος", True),
        ("ﬁnal.jpg", "FINAL", True),
        ("東京タワー.jpg", "京タ", True),
        ("東京タワー.jpg", "東京タワー", True),
        ("東京タワー.jpg", "東", True),
        ("🦎 in the sun.jpg", "🦎", True),
        ("🦎🦎🦎.jpg", "🦎🦎🦎", True),
        ("👩‍🚀.jpg", "👩‍🚀", True),
        ("ſailboat.jpg", "SAIL", True),
        ("K2.jpg", "k2.", True),  # the sign of degrees kelvin
        ("abc\ufffe.jpg", "abc\uffff", False),  # SQLite's index takes the two for one
    ],
)
def test_letters_are_found_in_any_case_and_with_any_accents(
    shelf: Callable[..., None], ask: Callable[..., AssetPage], name: str, q: str, found: bool
) -> None:
    shelf(make_asset("ast_1", name), make_asset("ast_2", "other.jpg"))
    page = ask(Filter(q=q))
    assert (names(page), page.total) == (([nfc(name)], 1) if found else ([], 0))


def test_text_is_found_in_names_and_tags_but_not_across_them(
    shelf: Callable[..., None], ask: Callable[..., AssetPage]
) -> None:
    shelf(make_asset("ast_1", "lake.jpg", original_name="IMG_1.jpg", tags=["blue", "calm"]))
    for q in (
        *("lake", "img_1", "JPG", "Blue", "calm", "c"),
        *("blue lake", "CALM img_1", "lake c", "m b l", "blue\ncalm", "lake lake ake"),
    ):
        assert ask(Filter(q=q)).total == 1, q
    for q in ("jpgimg", "bluecalm", "gimg", "lake sea", "blue xx", "sea x"):
        assert ask(Filter(q=q)).total == 0, q


@pytest.mark.parametrize("text", ["\0", "abc\0", "\ud800", "x\udfff"])
def test_text_that_no_database_takes_is_found_nowhere(
    shelf: Callable[..., None], ask: Callable[..., AssetPage], text: str
) -> None:
    shelf(make_asset("ast_1"))
    for chosen in (Filter(q=text), Filter(tags=("a", text)), Filter(collection_id=text)):
        assert ask(chosen).assets == []


def test_no_text_is_no_filter(shelf: Callable[..., None], ask: Callable[..., AssetPage]) -> None:
    shelf(make_asset("ast_1"))
    for q in ("", "  ", "\u0301"):
        assert ask(Filter(q=q)).total == 1


def test_a_tag_given_twice_is_one_and_a_prefix_is_none(
    shelf: Callable[..., None], ask: Callable[..., AssetPage]
) -> None:
    shelf(make_asset("ast_1", tags=["sea", "sun"]), make_asset("ast_2", tags=["sea"]))
    assert ask(Filter(tags=("sun", "sun"))).total == 1
    assert ask(Filter(tags=("sea", "sun", "sea"))).total == 1
    assert ask(Filter(tags=("se",))).total == 0


def test_tags_are_found_in_any_spelling(
    shelf: Callable[..., None], ask: Callable[..., AssetPage]
) -> None:
    shelf(
        make_asset("ast_1", tags=["Dog", "Café, late"]),
        make_asset("ast_2", tags=["dog", "DOG"]),
        make_asset("ast_3", tags=["dogs", "x" * 64]),
    )
    for tag in ("dog", "DOG", "Dög", "do\u0308g"):
        page = ask(Filter(tags=(tag, "dog")))
        assert ([asset.tags for asset in page.assets], page.total) == (
            [["Dog", "Café, late"], ["dog"]],
            2,
        )
    assert ask(Filter(tags=("cafe, late", "dog"))).total == 1
    assert ask(Filter(tags=("X" * 64,))).total == 1
    assert ask(Filter(tags=("X" * 63,))).total == 0


@pytest.mark.parametrize("sort", Sort)
def test_other_workspaces_stay_out_of_sight(
    acme: Account,
    globex: Account,
    shelf: Callable[..., None],
    ask: Callable[..., AssetPage],
    sort: Sort,
) -> None:
    """The same words, tags and collections, with an organization and a mode of their own."""
    fields = {"tags": ["sea"], "media_type": MediaType.VIDEO}
    shelf(
        make_asset("ast_mine", "quay.jpg", **fields),
        *(make_asset(f"ast_pier{number}") for number in range(20)),
    )
    for number, (org_id, mode) in enumerate(((acme.org_id, "test"), (globex.org_id, "live"))):
        with transaction(org_id, mode) as session:
            store(
                session,
                [make_asset(f"ast_other{number}{twin}", "quay.jpg", **fields) for twin in range(3)],
            )
    for chosen in (
        Filter(q="q"), Filter(q="quay"), Filter(tags=("sea",)), Filter(media_type=MediaType.VIDEO),
        Filter(q="quay", tags=("sea",), media_type=MediaType.VIDEO),
    ):  # fmt: skip
        page = ask(chosen, sort)
        assert ([asset.id for asset in page.assets], page.total) == (["ast_mine"], 1)
        assert ask(chosen, sort, mode="test").total == 3
    assert len(ask(sort=sort).assets) == 21
    with transaction() as session:
        assert page_of(session, Filter(), sort, 50).assets == []
    cursor = ask(sort=sort, size=1, mode="test").next_cursor
    assert not any(
        asset.id.startswith("ast_other") for asset in ask(sort=sort, cursor=cursor).assets
    )


def test_totals_past_the_bound_are_said_to_be_so(
    monkeypatch: pytest.MonkeyPatch, shelf: Callable[..., None], ask: Callable[..., AssetPage]
) -> None:
    monkeypatch.setattr(asset_query, "MAX_COUNTED", 5)
    shelf(
        *(
            make_asset(f"ast_{number}", f"quay{number}", tags=["sea"] + ["sun"] * (number < 5))
            for number in range(6)
        )
    )
    told = {
        chosen: (page.total, page.total_is_exact)
        for chosen in (
            Filter(), Filter(tags=("sea",)), Filter(q="quay"), Filter(q="qu"),
            Filter(q="quay", tags=("sea",)),
            Filter(q="quay", tags=("sun",)), Filter(tags=("sea", "sun")), Filter(q="quay1"),
            Filter(kinds=("jpeg", "png")), Filter(min_size=1000), Filter(max_size=999),
            Filter(uploaded_from=MOMENT, kinds=("jpeg",)), Filter(is_published=False),
        )
        for page in [ask(chosen, size=2)]
    }  # fmt: skip
    assert list(told.values()) == [
        (6, True), (6, True), (5, False), (5, False), (5, False), (5, True), (5, True), (1, True),
        (6, True), (5, False), (0, True), (5, False), (5, False),
    ]  # fmt: skip


@pytest.mark.parametrize("sort", Sort)
def test_cursors_hold_while_assets_come_and_go(
    acme: Account, shelf: Callable[..., None], ask: Callable[..., AssetPage], sort: Sort
) -> None:
    """What stays is listed once, though the asset that the cursor names is gone."""
    assets = [
        make_asset(f"ast_{n}", f"n{n}", size=n, uploaded_at=MOMENT + timedelta(n)) for n in range(9)
    ]
    shelf(*assets)
    first = ask(sort=sort, size=4)
    with transaction(acme.org_id, "live") as session:
        session.change(delete(Asset).where(Asset.id.in_([first.assets[0].id, first.assets[3].id])))
        session.add(
            make_asset(
                "ast_new", first.assets[0].name, size=first.assets[0].size, uploaded_at=MOMENT
            )
        )
        facet_counts.apply_change(session, set(), {"all"})
    rest = ask(sort=sort, size=50, cursor=first.next_cursor)
    expected = [f"ast_{n}" for n in (range(4, -1, -1) if sort.is_descending else range(4, 9))]
    assert [asset.id for asset in rest.assets if asset.id != "ast_new"] == expected


@pytest.mark.parametrize("sort", Sort)
def test_any_text_for_a_cursor_is_a_page_or_a_refusal(
    shelf: Callable[..., None], ask: Callable[..., AssetPage], sort: Sort
) -> None:
    shelf(make_asset("ast_1"), make_asset("ast_2"))

    @settings(max_examples=150, deadline=None)
    @given(cursor=CURSORS)
    @example(cursor="")
    @example(cursor=cursor_of([sort, 10**400, "ast_1"]))
    @example(cursor=cursor_of([sort, -(2**63), "ast_1"]))
    @example(cursor=cursor_of([sort, "\0", "ast_1"]))
    @example(cursor=cursor_of([sort, "\ud800", "ast_1"]))
    @example(cursor=cursor_of([sort, True, "ast_1"]))
    @example(cursor=cursor_of([sort, 1e300, "ast_1"]))
    @example(cursor=cursor_of([sort, None, None]))
    @example(cursor=urlsafe_b64encode(b"[" * 1500).decode())
    @example(cursor=urlsafe_b64encode(b"9" * 1500).decode())
    @example(cursor="A" * 100_000)
    def check(cursor: str) -> None:
        with suppress(BadRequest):
            assert len(ask(sort=sort, cursor=cursor).assets) <= 2

    check()


def cursor_of(content: object) -> str:
    return (
        urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")
    )


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([str(sort) for sort in Sort]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
# Microseconds of every year from 1 to 9999, and past them.
CURSORS = st.one_of(
    st.text(),
    st.binary().map(lambda content: urlsafe_b64encode(content).decode()),
    ANYTHING.map(cursor_of),
    st.tuples(
        st.sampled_from(Sort),
        st.integers(-(10**17), 10**18) | st.integers() | st.text(),
        st.text(max_size=40),
    ).map(cursor_of),
)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
        datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sort", [Sort.UPLOADED, Sort.UPLOADED_DESC])
def test_cursors_reach_from_the_first_moment_to_the_last(
    shelf: Callable[..., None], ask: Callable[..., AssetPage], moment: datetime, sort: Sort
) -> None:
    shelf(make_asset("ast_1"))
    cursor = encode(sort, Place(moment, "ast_x"))
    assert decode(cursor, sort) == (moment, "ast_x")
    assert len(ask(sort=sort, cursor=cursor).assets) == ((moment < MOMENT) != sort.is_descending)


def test_a_cursor_that_was_changed_or_cut_is_refused(
    shelf: Callable[..., None], ask: Callable[..., AssetPage]
) -> None:
    shelf(make_asset("ast_1"), make_asset("ast_2"))
    cursor = ask(size=1).next_cursor
    assert cursor is not None
    padded = cursor + "=" * (-len(cursor) % 4)
    content = urlsafe_b64decode(padded)
    for other in (
        cursor[:-1], cursor[1:], cursor + "A", cursor + " ", cursor + "\n", "!" + cursor,
        cursor + "=",
        urlsafe_b64encode(content + b" ").decode(),
        urlsafe_b64encode(content.replace(b",", b", ")).decode(),
        urlsafe_b64encode(content.decode().encode("utf-16")).decode(),
    ):  # fmt: skip
        with pytest.raises(BadRequest) as refused:
            ask(cursor=other)
        assert refused.value.errors[0].startswith("cursor: is not one that a list gave")


def test_a_cursor_of_another_order_is_refused_by_its_name(
    shelf: Callable[..., None], ask: Callable[..., AssetPage]
) -> None:
    shelf(make_asset("ast_1"), make_asset("ast_2"))
    for sort in Sort:
        cursor = ask(sort=sort, size=1).next_cursor
        for other in set(Sort) - {sort}:
            with pytest.raises(BadRequest) as refused:
                ask(sort=other, cursor=cursor)
            assert f"sort={sort}" in refused.value.errors[0]


def test_long_names_have_cursors_too(
    shelf: Callable[..., None], ask: Callable[..., AssetPage]
) -> None:
    shelf(*(make_asset(f"ast_{number}", "🦎" * 255) for number in range(3)))
    assert len(by_cursor(ask, Filter(), Sort.NAME, 1)) == 3


def test_a_page_takes_few_statements_however_large(
    app: Flask, shelf: Callable[..., None], ask: Callable[..., AssetPage]
) -> None:
    shelf(
        *(
            make_asset(f"ast_{number:02}", f"quay {number}", tags=["sea", "sun"])
            for number in range(60)
        )
    )
    for chosen, most in (
        (Filter(), 2),
        (Filter(tags=("sea",)), 2),
        (Filter(q="quay 1", tags=("sea", "sun")), 4),
        (Filter(q="quay", kinds=("jpeg",), min_size=1, uploaded_from=MOMENT), 6),
    ):
        with statements(app) as sent:
            assert ask(chosen, size=60).assets[0].tags == ["sea", "sun"]
        assert len(sent) <= most, sent


@pytest.mark.slow
def test_large_libraries_are_walked_and_found_in_alike(
    shelf: Callable[..., None], ask: Callable[..., AssetPage]
) -> None:
    """Enough assets for every way of looking to be taken: by the text index, by a rare tag, along
    an order."""
    shelf(
        *(
            make_asset(
                f"ast_{number:04}",
                f"{'quetzal' if number in (7, 600) else 'pigeon'} {number * 7919 % 1000:03}",
                size=number * 31 % 997,
                uploaded_at=MOMENT + timedelta(seconds=number // 2),
                tags=["bird"] + ["rare"] * (number % 300 == 0) + ["odd"] * (number % 2),
                media_type=MediaType.VIDEO if number % 40 == 0 else MediaType.IMAGE,
            )
            for number in range(1000)
        )
    )
    filters = {
        Filter(q="pigeon"): 998, Filter(q="quetzal"): 2, Filter(q="quetzal", tags=("odd",)): 1,
        Filter(q="pigeon", tags=("rare",)): 3, Filter(tags=("rare",)): 4,
        Filter(tags=("bird", "rare")): 4,
        Filter(tags=("odd",), media_type=MediaType.VIDEO): 0, Filter(q="n 00"): 18,
        Filter(q="00"): 19,
        Filter(q="geon 1", tags=("bird",)): 271,
    }  # fmt: skip
    for (chosen, total), sort in product(filters.items(), Sort):
        pages = by_cursor(ask, chosen, sort, 90)
        found = [asset for page in pages for asset in page.assets]
        keys = [(FIELDS[sort.field](asset), asset.id) for asset in found]
        assert (len(found), pages[0].total) == (total, total), (chosen, sort)
        assert keys == sorted(keys, reverse=sort.is_descending), (chosen, sort)
