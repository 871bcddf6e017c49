"""The query string of lists of assets: read as people write it, written in one way."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from app.errors import BadRequest
from app.imaging.formats import Source
from app.models import MediaType
from app.services.library.listing import Sort
from app.web.asset_filters import AssetQuery
from app.web.forms import NULL_VALUES


def read(query: str) -> AssetQuery:
    return AssetQuery.read(MultiDict(parse_qsl(query, keep_blank_values=True)))


@pytest.mark.parametrize(
    ("query", "tags"),
    [
        ("tags=a,b", ["a", "b"]),
        ("tags=a&tags=b,c", ["a", "b", "c"]),
        ("tags=a,,%20b%20,", ["a", "b"]),
        ('tags="a,b",c', ["a,b", "c"]),
        ('tags="say ""hi"", please"', ['say "hi", please']),
        ('tags=" a "', [" a "]),
        ('tags=5" screen,b', ['5" screen', "b"]),
        ('tags="a,b', ['"a', "b"]),
        ('tags="a"b', ['"a"b']),
        ("tags=&tags=null&tags=undefined", []),
        ("tags=a&tags=a", ["a"]),
    ],
)
def test_tags_are_listed_and_repeated_and_quoted(query: str, tags: list[str]) -> None:
    assert read(query).tags == tags


def test_kinds_have_their_usual_names() -> None:
    assert read("kind=JPG,png&kind=heic").kind == [Source.JPEG, Source.PNG, Source.HEIF]
    assert read("kind=jpeg,jpg").kind == [Source.JPEG]


@pytest.mark.parametrize(
    ("query", "since", "until"),
    [
        ("uploadedAfter=2026-05-01", datetime(2026, 5, 1, tzinfo=UTC), None),
        ("uploadedBefore=2026-05-31", None, datetime(2026, 6, 1, tzinfo=UTC)),
        (
            "uploadedAfter=2026-05-01T12:00:00%2B02:00",
            datetime(2026, 5, 1, 10, tzinfo=UTC),
            None,
        ),
        ("uploadedAfter=2026-05-01T12:00:00+02:00", datetime(2026, 5, 1, 10, tzinfo=UTC), None),
        ("uploadedAfter=2026-05-01T12:00", datetime(2026, 5, 1, 12, tzinfo=UTC), None),
        (
            "uploadedBefore=2026-05-01T12:00:00.250Z",
            None,
            datetime(2026, 5, 1, 12, 0, 0, 250_000, UTC),
        ),
        ("uploadedBefore=9999-12-31", None, datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_dates_are_whole_days_and_moments_have_a_zone(
    query: str, since: datetime | None, until: datetime | None
) -> None:
    chosen = read(query).filter
    assert (chosen.uploaded_from, chosen.uploaded_before) == (since, until)
    assert read(read(query).link()).filter == chosen


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("kind=psd", "kind"), ("minSize=-1", "minSize"), ("maxSize=many", "maxSize"),
        (f"maxSize={2**63}", "maxSize"), ("published=maybe", "published"),
        ("uploadedAfter=yesterday", "uploadedAfter"),
        ("uploadedBefore=2026-13-01", "uploadedBefore"),
        ("uploadedAfter=0001-01-01T00:00:00%2B10:00", "uploadedAfter"),
        ("tags=" + ",".join(map(str, range(51))), "tags"), ("tags=%00", "tags"),
        ("sort=colour", "sort"), ("page=0", "page"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_its_name(query: str, field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(query)
    assert refused.value.errors[0].startswith(field)


def test_links_say_only_what_differs_and_begin_at_the_first_page() -> None:
    query = read("sort=-uploadedAt&pageSize=50&q=&page=3&type=image&tags=b,a&published=true")
    assert query.link() == "type=IMAGE&tags=b&tags=a&published=true"
    assert query.link(page=4) == "type=IMAGE&tags=b&tags=a&published=true&page=4"
    assert query.link(tags=["a, b"], type=None, published=False) == (
        "tags=%22a%2C%20b%22&published=false"
    )
    assert query.link(cursor="abc", tags=[]) == "type=IMAGE&published=true&cursor=abc"
    assert AssetQuery().link() == ""
    assert read(AssetQuery().link(tags=["null", "b"])).tags == ["null", "b"]


TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
GIVEN = TEXTS.filter(lambda text: text not in NULL_VALUES)
"""``q=undefined`` counts as absent, for links as for clients (tests/api/test_queries.py)."""
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "q": GIVEN,
        "type": st.sampled_from(MediaType),
        "collectionId": GIVEN,
        "tags": st.lists(TEXTS, unique=True, min_size=1, max_size=5),
        "kind": st.lists(st.sampled_from(Source), unique=True, min_size=1),
        "minSize": st.integers(0, 2**63 - 1),
        "published": st.booleans(),
        "sort": st.sampled_from(Sort),
    },
)


@given(values=QUERIES)
def test_a_link_leads_to_the_same_list(values: dict[str, Any]) -> None:
    query = AssetQuery.model_construct(**values)
    assert read(AssetQuery().link(**values)).filter == query.filter
