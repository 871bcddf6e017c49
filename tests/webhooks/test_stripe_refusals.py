"""``POST /webhooks/stripe``: what is not believed, and how much of it is read."""

import json
from io import RawIOBase
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rq import Queue

from app.adapters.payments.stripe import StripePayments
from tests.billing import ACCOUNT, SECRETS, BillingEnv, open_billing_env
from tests.client import Answer, client_of
from tests.clock import Clock
from tests.databases import on_both_databases
from tests.webhooks.events import (
    NOWHERE,
    UPDATED,
    about,
    assert_refused,
    event,
    post,
    signature,
    stored,
)

FORGED = event()


def garbage() -> dict[str, str]:
    body = json.dumps(FORGED).encode()
    valid = signature(body)
    moment, mac = valid.split(",")
    return {
        "blank": " ",
        "nonsense": "x",
        "commas": ",,,,",
        "another scheme": f"{moment},v0={mac[3:]}",
        "no moment": mac,
        "no signature": moment,
        "empty signature": f"{moment},v1=",
        "not a moment": f"t=now,{mac}",
        "a huge moment": f"t={'9' * 4000},{mac}",
        "too huge a moment": f"t={'9' * 9000},{mac}",
        "negative moment": f"t=-1,{mac}",
        "not ASCII": f"{moment},v1=é{mac[4:]}",
        "very long": f"{moment},v1={'a' * 100_000}",
        "many signatures": ",".join([moment, *[f"v1={n:064x}" for n in range(1000)]]),
        "a later moment": f"t={int(moment[2:]) + 1},{mac}",
        "half a signature": valid[:-32],
        "of another secret": signature(body, "whsec_of_somebody_else"),
        "of an empty secret": signature(body, ""),
        "older than five minutes": signature(body, ago=301),
        "of another body": signature(body + b" "),
    }


def test_a_signature_that_is_not_valid_is_refused(
    app: Flask, paying: BillingEnv, queue: Queue
) -> None:
    for name, header in garbage().items():
        answer = post(app, FORGED, header)
        assert answer.status_code == 400, name
        assert "signature" in answer.json["error"]
    assert_refused(app, post(app, FORGED, "x"))
    assert queue.is_empty()


def test_a_body_without_any_signature_is_refused(app: Flask, paying: BillingEnv) -> None:
    assert_refused(app, client_of(app).post("/webhooks/stripe", json=event()))
    assert_refused(app, client_of(app).post("/webhooks/stripe"))
    assert_refused(app, post(app, b""))


def test_a_valid_signature_among_others_is_enough(app: Flask, paying: BillingEnv) -> None:
    """While an endpoint's secret is rolled, Stripe signs with both."""
    body = json.dumps(event()).encode()
    moment, mac = signature(body).split(",")
    assert post(app, body, f"{moment},v0=0,v1={'0' * 64},{mac}").status_code == 200


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_altered_byte_is_believed(app: Flask, paying: BillingEnv, data: st.DataObject) -> None:
    body = bytearray(json.dumps(event()).encode())
    header = signature(bytes(body))
    place, change = data.draw(st.integers(0, len(body) - 1)), data.draw(st.integers(1, 255))
    body[place] ^= change
    assert_refused(app, post(app, bytes(body), header))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    header=st.text(
        st.characters(max_codepoint=255, exclude_characters="\r\n"), min_size=1, max_size=80
    )
)
def test_no_made_up_signature_is_believed(app: Flask, paying: BillingEnv, header: str) -> None:
    assert_refused(app, post(app, FORGED, header))


def test_no_altered_field_is_believed(app: Flask, paying: BillingEnv) -> None:
    sent = event()
    header = signature(json.dumps(sent).encode())
    changes = {
        "id": "evt_other",
        "type": "customer.deleted",
        "created": 1,
        "livemode": True,
        **about(id="sub_2"),
    }
    for name, value in changes.items():
        assert post(app, sent | {name: value}, header).status_code == 400, name
    assert_refused(app, post(app, {name: sent[name] for name in reversed(sent)}, header))
    assert post(app, sent, header).status_code == 200


def test_a_replay_after_five_minutes_is_refused(app: Flask, paying: BillingEnv) -> None:
    body = json.dumps(event()).encode()
    assert_refused(app, post(app, body, signature(body, ago=302)))
    assert post(app, body, signature(body, ago=280)).status_code == 200


def test_both_secrets_hold_while_one_replaces_the_other(app: Flask, clock: Clock) -> None:
    key = ACCOUNT.stripe_secret_key
    with open_billing_env(app, clock) as billing_env:
        for secret in SECRETS:
            assert billing_env.post(json.dumps(event()), secret).status_code == 200
    with open_billing_env(
        app, clock, payments=StripePayments(key, SECRETS[:1], NOWHERE)
    ) as billing_env:
        assert billing_env.post(json.dumps(event()), SECRETS[0]).status_code == 200
        assert billing_env.post(json.dumps(event()), SECRETS[1]).status_code == 400
    assert len(stored(app)) == 3


@pytest.mark.parametrize(
    ("key", "live"), [("sk_live_1", True), ("rk_live_1", True), ("sk_test_1", False)]
)
def test_events_of_the_other_mode_are_refused(
    app: Flask, clock: Clock, key: str, live: bool
) -> None:
    """Live and test endpoints could be given each other's secrets by mistake; play money must buy
    nothing."""
    with open_billing_env(app, clock, payments=StripePayments(key, SECRETS, NOWHERE)):
        assert_refused(app, post(app, event(livemode=not live)))
        assert post(app, event(livemode=live)).status_code == 200


def nested(depth: int) -> bytes:
    return json.dumps(event()).encode()[:-1] + b', "deep": ' + b"[" * depth + b"]" * depth + b"}"


SHAPES: dict[str, object] = {
    "not UTF-8": b'{"id": "\xff\xfe"}',
    "not JSON": b"id=evt_1&type=invoice.paid",
    "half of it": json.dumps(event()).encode()[:-9],
    "null": None,
    "list": [event()],
    "text": "evt_1",
    "number": 7,
    "empty object": {},
    "thin event": {
        "id": "evt_1", "object": "v2.core.event", "type": "v1.billing.meter.error_report_triggered",
        "livemode": False,
        "created": "2026-11-01T00:00:00.000Z",
        "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1"},
    },
    "no mode": {name: value for name, value in event().items() if name != "livemode"},
    "mode that is no boolean": event(livemode="false"),
    "mode that is a number": event(livemode=0),
    "no id": event(id=None),
    "empty id": event(id=""),
    "id that is a list": event(id=["evt_1"]),
    "id that is a number": event(id=7),
    "id with NUL": event(id="evt_\0"),
    "too long an id": event(id="e" * 256),
    "type that is an object": event(type={"name": UPDATED}),
    "too long a type": event(type="t" * 101),
    "created as text": event(created="1790000000"),
    "created without end": json.dumps(event(created="END")).replace('"END"', "Infinity").encode(),
    "created that is no number": json.dumps(event(created="END")).replace('"END"', "NaN").encode(),
    "created as 1e999": json.dumps(event(created="END")).replace('"END"', "1e999").encode(),
    "created after all years": event(created=10**12),
    "created of 20 digits": event(created=10**20),
    "created of 5000 "
    "digits": json.dumps(event(created="END")).replace('"END"', "9" * 5000).encode(),
    "created before 1970": event(created=-1),
    "data that is null": event(data=None),
    "data that is a list": event(data=[]),
    "no object": event(data={}),
    "object that is text": event(data={"object": "sub_1"}),
    "object without a kind": event(**about(id="sub_1", customer="cus_1")),
    "customer that is a number": event(**about(object="subscription", customer=7)),
    "customer that is a list": event(**about(object="subscription", customer=["cus_1"])),
    "customer with an odd "
    "id": event(**about(object="subscription", customer={"id": {"id": "cus_1"}})),
    "customer with NUL": event(**about(object="subscription", customer="cus_\0")),
    "too long a customer": event(**about(object="subscription", customer="c" * 256)),
    "half a surrogate": event(**about(object="subscription", customer="cus_\ud800")),
    "charge that is "
    "true": event(type="charge.dispute.created", **about(object="dispute", charge=True)),
    "deeply nested": nested(5_000),
    "very deeply nested": nested(100_000),
}  # fmt: skip


@pytest.mark.parametrize("app", ["postgresql"], indirect=True)
def test_what_is_signed_and_yet_no_event_is_refused(
    app: Flask, paying: BillingEnv, queue: Queue
) -> None:
    for name, body in SHAPES.items():
        answer = post(app, body)
        assert answer.status_code == 400, name
    assert stored(app) == []
    assert queue.is_empty()


@on_both_databases
def test_ids_of_the_longest_are_stored(app: Flask, paying: BillingEnv) -> None:
    sent = event(id="e" * 255, type="t" * 100, **about(object="subscription", customer="c" * 255))
    assert post(app, sent).status_code == 200
    assert [(row.id, row.subject) for row in stored(app)] == [("e" * 255, "c" * 255)]


# How much is read


class Body(RawIOBase):
    """A body without an end that counts how much of it was read."""

    def __init__(self) -> None:
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        buffer[:] = b" " * len(buffer)
        self.taken += len(buffer)
        return len(buffer)


CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}


def send_stream(app: Flask, body: Body, **environ: object) -> Answer:
    return client_of(app).post(
        "/webhooks/stripe", environ_overrides={"wsgi.input": body, **environ}
    )


def test_a_megabyte_is_refused_unread(app: Flask, paying: BillingEnv) -> None:
    body = Body()
    assert_refused(app, send_stream(app, body, CONTENT_LENGTH="1000000"), 413)
    assert body.taken == 0


def test_a_body_of_unknown_length_is_read_no_further_than_it_may_be_long(
    app: Flask, paying: BillingEnv
) -> None:
    body = Body()
    assert_refused(app, send_stream(app, body, **CHUNKED))
    assert body.taken < 1_000_000


def test_a_large_event_passes(app: Flask, paying: BillingEnv) -> None:
    """An invoice of many lines."""
    about_much = {"object": "invoice", "customer": "cus_1", "lines": ["x" * 1000] * 300}
    assert post(app, event(type="invoice.paid", **about(**about_much))).status_code == 200
