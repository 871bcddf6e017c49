"""What is kept of an event: its shape, and nobody's name."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.adapters.payments.stripe_payload import MAX_BYTES, REMOVED, kept

SECRET = "Ada Lovelace"
MAIL = "ada.l@example.com"
PERSONAL = st.sampled_from(
    ["email", "name", "phone", "address", "customer_email", "receipt_url", "client_secret"]
)
PLAIN = st.sampled_from(["id", "status", "customer", "items", "data", "cancel_at", "metadata"])
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text("ab @.é\0\ud800", max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(PLAIN, inner, max_size=3)
        | st.dictionaries(PERSONAL, st.just(SECRET) | st.just({"line1": SECRET}), max_size=3)
        | st.just(f"a receipt went to {MAIL}.")
    ),
    max_leaves=20,
)


@given(st.dictionaries(PLAIN, ANY, max_size=4))
def test_nobody_is_named_and_the_shape_stays(event: dict[str, Any]) -> None:
    found = kept(json.dumps(event).encode())
    assert found is not None
    written = json.dumps(found, allow_nan=False, ensure_ascii=False)
    assert SECRET not in written
    assert MAIL not in written
    assert "\\u0000" not in written
    written.encode()
    assert list(found) == list(event)
    assert kept(written.encode()) == found


def test_nothing_is_left_of_what_looks_like_several_addresses_in_one() -> None:
    found = kept(json.dumps({"id": "a@b@c.example, d@e.example"}).encode())
    assert found == {"id": f"{REMOVED} {REMOVED}"}


def test_ids_states_and_moments_stay() -> None:
    about = {"id": "sub_1", "status": "active", "customer": "cus_1", "cancel_at": None, "n": 1.5}
    event = {"id": "evt_1", "data": {"object": about | {"customer_name": "Ada", "phone": None}}}
    found = kept(json.dumps(event).encode())
    assert found
    assert found["data"]["object"] == about | {"customer_name": REMOVED, "phone": None}


def test_what_is_too_long_or_no_event_is_not_kept() -> None:
    longest = json.dumps({"id": "x" * (MAX_BYTES - len('{"id": ""}'))}).encode()
    assert len(longest) == MAX_BYTES
    assert kept(longest)
    assert kept(longest.replace(b"x", b"xx", 1)) is None
    for body in (b"", b"[]", b"{", b"\xff\xff", b"[" * 100_000):
        assert kept(body) is None
