"""The pages of API keys, as a browser uses them."""

import re
from typing import Any

from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.models import ApiKey, AuditEntry
from tests.client import Answer, ApiClient, bearer
from tests.conftest import Account
from tests.forms import post, text_of

WEB_SHOP = {"name": "Web shop", "mode": "live", "access": "write", "expiry": "", "day": ""}
ONCE = re.compile('name="once" value="([^"]+)"')


def once(client: ApiClient, path: str) -> str:
    """What the form at a path holds, so that it is taken once."""
    found = ONCE.search(client.get(path).text)
    assert found
    return found[1]


def create(client: ApiClient, account: Account, **fields: str) -> Answer:
    path = f"{pages(account)}/new"
    return post(client, path, **{"once": once(client, path), **WEB_SHOP, **fields})


def rotate(client: ApiClient, account: Account, key_id: str, overlap: str) -> Answer:
    path = f"{pages(account)}/{key_id}/rotate"
    return post(client, path, once=once(client, path), overlap=overlap)


def shown_key(answer: Answer) -> str:
    assert answer.status_code == 200, text_of(answer)
    found = re.search('<div class="secret"[^>]*><code>([^<]+)</code>', answer.text)
    assert found
    return found[1]


def rows(app: Flask, account: Account) -> list[ApiKey]:
    """The keys that were made after the account's first two, the oldest first."""
    with app.app_context(), transaction() as session:
        own = select(ApiKey).where(ApiKey.org_id == account.org_id).order_by(ApiKey.id)
        return list(session.scalars(own))[2:]


def audited(app: Flask, account: Account) -> list[tuple[str, dict[str, Any]]]:
    with app.app_context(), transaction(account.org_id) as session:
        entries = session.scalars(
            select(AuditEntry).where(AuditEntry.action.like("key.%")).order_by(AuditEntry.id)
        )
        return [(entry.action, entry.after) for entry in entries]


def works(client: ApiClient, key: str) -> bool:
    return client.get("/usage", headers=bearer(key)).status_code == 200


def pages(account: Account) -> str:
    return f"{account.home}/keys"
