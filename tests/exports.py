"""Batch exports, as rows without the worker that makes them."""

from datetime import timedelta

from flask import Flask

from app.extensions import transaction
from app.imaging import Transform
from app.models import Actor, ActorKind, Export, ExportStatus, Mode, new_id
from app.services.exports.exports import Config
from tests.clock import NOON
from tests.conftest import Account


def add_export(
    app: Flask,
    account: Account,
    mode: Mode = Mode.LIVE,
    *,
    preset_id: str | None = None,
    **fields: object,
) -> str:
    """The id of a new export."""
    values: dict[str, object] = {
        "status": ExportStatus.QUEUED,
        "config": Config(Transform(), preset_id=preset_id).to_json(),
        "asset_ids": ["image_1"],
        "total": 1,
        "actor": Actor(ActorKind.SYSTEM, "tests"),
        "lease_until": NOON + timedelta(days=1),
        "created_at": NOON,
    }
    export = Export(id=new_id("exp", NOON), **(values | fields))
    with app.app_context(), transaction(account.org_id, mode) as session:
        session.add(export)
    return export.id
