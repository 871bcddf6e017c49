"""Cursors: read as they were written, and never more than that."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.models.types import EPOCH
from app.services.staff.cursor import HIGHEST, Place, Value, decode, encode

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=120)
MOMENTS = st.integers(-(10**15), 10**16).map(lambda number: EPOCH + timedelta(microseconds=number))
VALUES: dict[type, st.SearchStrategy[Value]] = {
    datetime: MOMENTS,
    str: TEXTS,
    int: st.integers(0, HIGHEST),
}


@given(st.data(), st.sampled_from(list(VALUES)), TEXTS.filter(lambda text: len(text) <= 32))
def test_a_place_is_read_as_it_was_written(
    data: st.DataObject, kind: type[datetime] | type[str] | type[int], row_id: str
) -> None:
    place = Place(data.draw(st.none() | VALUES[kind]), row_id)
    cursor = encode(place)
    if len(cursor) <= 1024:
        assert decode(cursor, kind) == place


@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda data: data.decode("latin-1")))
def test_other_texts_begin_the_list_anew(text: str) -> None:
    for kind in (datetime, str, int):
        place = decode(text, kind)
        assert place is None or place == decode(encode(place), kind)


def test_what_no_database_takes_begins_the_list_anew() -> None:
    for place in (Place(2**63, "org_1"), Place(-(2**63) - 1, "org_1"), Place(1, "org\0")):
        assert decode(encode(place), int) is None
    assert decode(encode(Place("a\0", "org_1")), str) is None
    assert decode(encode(Place(True, "org_1")), int) is None
    assert decode(encode(Place(1, "org_1")), datetime) is None
    assert decode("W3siYXQiOjFlOTl9LCJvIl0", datetime) is None  # [{"at":1e99},"o"]
    assert decode("A" * 2000, int) is None
