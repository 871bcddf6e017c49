"""The staff's log as tests read it, and forms as staff send them."""

from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.models import StaffEntry
from tests.client import Answer, ApiClient

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
REASON = "a customer asked for it"


def act(client: ApiClient, path: str, **fields: str) -> Answer:
    """Send a form of the console, with a reason."""
    return client.post(path, data={"reason": REASON, **fields}, headers=SAME_SITE)


def log_of(app: Flask, client: ApiClient) -> list[StaffEntry]:
    """What the staff's log says of the client's person, the oldest first."""
    with app.app_context(), transaction() as session:
        own = select(StaffEntry).where(StaffEntry.user_id == client.user_id)
        return list(session.scalars(own.order_by(StaffEntry.number)))
