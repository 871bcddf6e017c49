"""What pages are sent names things of another organization, or of the other mode: it is answered as
what never was, and nothing of theirs changes."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.imaging import Transform
from app.models import Asset, Collection, Export, ExportPreset, Mode, Role, TrashedAsset, new_id
from app.services.exports import presets
from app.services.library import trash
from tests.actors import A_KEY
from tests.client import Answer, ApiClient
from tests.clock import NOON
from tests.conftest import Account, SignIn
from tests.exports import add_export
from tests.forms import SAME_SITE
from tests.library import make_collection, reserve_space
from tests.pictures import add_picture

JSON = {**SAME_SITE, "Accept": "application/json"}
FORM_TOKEN = re.compile(rb'name="once" value="[^"]+"')


@dataclass(frozen=True)
class Things:
    """Ids of what a workspace has, and the name of its preset."""

    asset: str
    trashed: str
    collection: str
    preset: str
    preset_name: str
    export: str


def make_things(app: Flask, account: Account, mode: Mode) -> Things:
    reserve_space(app, account)
    collection = make_collection(new_id("col", NOON))
    with app.app_context(), transaction(account.org_id, mode) as session:
        session.add(collection)
    asset, trashed = (
        add_picture(app, account, mode=mode, collection_id=collection.id) for _ in range(2)
    )
    with app.app_context(), transaction(account.org_id, mode) as session:
        preset, _ = presets.save(session, new_id("name", NOON), Transform(max_width=5), NOON)
        trash.put(session, A_KEY, [trashed], NOON)
    export = add_export(app, account, mode, asset_ids=[asset])
    return Things(asset, trashed, collection.id, preset.id, preset.name, export)


@contextmanager
def unchanged(app: Flask, account: Account, mode: Mode) -> Iterator[None]:
    """Nothing of the workspace is other than before."""

    def rows() -> dict[str, list[dict[str, Any]]]:
        with app.app_context(), transaction(account.org_id, mode) as session:
            return {
                kind.__name__: [
                    {name: value for name, value in vars(row).items() if name[0] != "_"}
                    for row in session.scalars(select(kind).order_by(kind.id))
                ]
                for kind in (Asset, TrashedAsset, Collection, ExportPreset, Export)
            }

    before = rows()
    yield
    assert rows() == before


Send = Callable[[ApiClient, str, Things, Things], Answer]


def by_form(path: str, **fields: str) -> Send:
    """``{asset}`` in a field is the foreign one, ``{own.asset}`` the person's own."""

    def send(client: ApiClient, home: str, own: Things, foreign: Things) -> Answer:
        def filled(text: str) -> str:
            return text.format(own=own, **asdict(foreign))

        data = {name: filled(text) for name, text in fields.items()}
        return client.post(f"{home}/{filled(path)}", data=data, headers=JSON)

    return send


def by_json(path: str, body: Callable[[Things], dict[str, Any]]) -> Send:
    def send(client: ApiClient, home: str, own: Things, foreign: Things) -> Answer:
        headers = {**JSON, "Idempotency-Key": uuid4().hex}
        return client.post(f"{home}/{path.format(own=own)}", json=body(foreign), headers=headers)

    return send


def by_query(path: str) -> Send:
    def send(client: ApiClient, home: str, own: Things, foreign: Things) -> Answer:
        return client.get(f"{home}/{path.format(own=own, **asdict(foreign))}")

    return send


def watermark(foreign: Things) -> dict[str, Any]:
    return {"operations": [{"watermark": {"watermarks": [{"id": foreign.asset}]}}]}


def watermark_in_trash(foreign: Things) -> dict[str, Any]:
    return {"operations": [{"watermark": {"watermarks": [{"id": foreign.trashed}]}}]}


EDIT = "assets/{own.asset}/edit"
REQUESTS: dict[str, Send] = {
    "tag": by_form("library/bulk/tags", ids="{asset}", tags="a", how="add"),
    "move": by_form("library/bulk/move", ids="{asset}", collectionId=""),
    "move there": by_form("library/bulk/move", ids="{own.asset}", collectionId="{collection}"),
    "delete": by_form("library/bulk/trash", ids="{asset}"),
    "restore": by_form("trash/restore", ids="{trashed}"),
    "restore one": by_form("trash/restore", only="{trashed}"),
    "undo": by_form("assets/{trashed}/restore"),
    "label": by_form("assets/{own.asset}/label", collectionId="{collection}"),
    "export url": by_form("assets/{own.asset}/export", preset="{preset_name}"),
    "new collection": by_form("library/collections", name="a", parentId="{collection}"),
    "move collection": by_form(
        "library/collections/{own.collection}/move", parentId="{collection}"
    ),
    "choose": by_form("exports/choose", ids="{asset}"),
    "choose with preset": by_form(
        "exports/choose", ids="{own.asset}", names="id", preset="{preset}"
    ),
    "figures": by_form("exports/figures", ids="{asset}"),
    "figures of a list": by_form("exports/figures", query="collectionId={collection}"),
    "figures with preset": by_form(
        "exports/figures", ids="{own.asset}", names="id", preset="{preset}"
    ),
    "export": by_form("exports", ids="{asset}", names="id"),
    "export with preset": by_form("exports", ids="{own.asset}", names="id", preset="{preset}"),
    "watermark seen": by_json(f"{EDIT}/preview", watermark),
    "watermark saved": by_json(EDIT, watermark),
    "watermark in the trash": by_json(f"{EDIT}/preview", watermark_in_trash),
    "library": by_query("library?collectionId={collection}"),
    "tiles": by_query("library/tiles?id={asset}"),
    "tree": by_query("library/collections?parent={collection}"),
    "list of exports": by_query("exports?before={export}"),
    "export again": by_query("exports/new?again={export}"),
    "export of a list": by_query("exports/new?collectionId={collection}"),
    "copy of a preset": by_query("presets/new?copy={preset}"),
    "asked export url": by_query("assets/{own.asset}/export?preset={preset_name}"),
}


def told(answer: Answer, things: Things) -> tuple[int, bytes]:
    """Status and body, without ids and what is new each time."""
    body = answer.data.replace(str(answer.headers["X-Request-Id"]).encode(), b"")
    body = FORM_TOKEN.sub(b"", re.sub(rb'nonce="[\w-]+"', b"", body))
    for value in asdict(things).values():
        body = body.replace(value.encode(), b"")
    return answer.status_code, body


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.TEST], ids=["another organization", "test data"])
def test_foreign_ids_are_unknown_ids(
    app: Flask, acme: Account, globex: Account, sign_in: SignIn, mode: Mode
) -> None:
    whose = globex if mode is Mode.LIVE else acme
    member, own = sign_in(acme, Role.OWNER), make_things(app, acme, Mode.LIVE)
    foreign = make_things(app, whose, mode)
    invented = Things(**{name: f"{value[:-5]}zzzzz" for name, value in asdict(foreign).items()})
    with unchanged(app, whose, mode):
        for name, send in REQUESTS.items():
            expected = told(send(member, acme.home, own, invented), invented)
            assert expected[0] < 500, name
            assert told(send(member, acme.home, own, foreign), foreign) == expected, name


@pytest.mark.slow
def test_own_ids_are_known(app: Flask, acme: Account, sign_in: SignIn) -> None:
    """The same requests find what is there, so the ids stand where they are read."""
    member, own = sign_in(acme, Role.OWNER), make_things(app, acme, Mode.LIVE)
    for name, send in REQUESTS.items():
        there = make_things(app, acme, Mode.LIVE)
        invented = Things(**{key: f"{value[:-5]}zzzzz" for key, value in asdict(there).items()})
        unknown = told(send(member, acme.home, own, invented), invented)
        if name != "watermark in the trash":
            assert told(send(member, acme.home, own, there), there) != unknown, name
