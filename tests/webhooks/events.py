"""Events as Stripe sends them, and what became of them."""

import hmac
import json
from hashlib import sha256
from typing import Any
from uuid import uuid4

from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.models import StripeEvent
from tests.billing import SECRETS
from tests.client import Answer, client_of
from tests.clock import real_now

NOWHERE = "http://127.0.0.1:1"
UPDATED = "customer.subscription.updated"


def event(**changes: Any) -> dict[str, Any]:
    """A subscription changed, as Stripe tells it."""
    about = {
        "id": "sub_1",
        "object": "subscription",
        "customer": f"cus_{uuid4().hex}",
        "status": "active",
    }
    return {
        "id": f"evt_{uuid4().hex}", "object": "event", "api_version": "2026-10-28.endive",
        "created": 1_790_000_000,
        "livemode": False, "pending_webhooks": 1, "type": UPDATED, "data": {"object": about},
        **changes,
    }  # fmt: skip


def about(**thing: Any) -> dict[str, Any]:
    return {"data": {"object": thing}}


def signature(body: bytes, secret: str = SECRETS[0], ago: int = 0) -> str:
    """Stripe's scheme: HMAC-SHA256 over the moment, a dot and the body."""
    moment = int(real_now().timestamp()) - ago
    return (
        f"t={moment},v1={hmac.new(secret.encode(), b'%d.%b' % (moment, body), sha256).hexdigest()}"
    )


def post(app: Flask, body: object, header: str | None = None, **how: Any) -> Answer:
    """Send a body, JSON unless it is bytes, signed unless a header is given."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Stripe-Signature": header or signature(content)}
    return client_of(app).post("/webhooks/stripe", data=content, headers=headers, **how)


def stored(app: Flask) -> list[StripeEvent]:
    with app.app_context(), transaction() as session:
        return list(session.scalars(select(StripeEvent).order_by(StripeEvent.received_at)))


def assert_refused(app: Flask, answer: Answer, status: int = 400) -> None:
    assert answer.status_code == status, answer.data
    assert answer.json["status"] == status
    assert answer.json["requestId"] == answer.headers["X-Request-Id"]
    assert stored(app) == []
