"""The deletion of an organization and a data export by the real worker of a whole service, whose
processes are killed in the middle."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4
from zipfile import ZipFile

import pytest

from app.extensions import Base
from tests.conftest import Service, wait_until
from tests.dev.test_serve import register
from tests.test_batch_exports import kill

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("killed jobs")]
LONG_AGO = "2020-01-01 00:00:00.000000"
ROWS = 60_000
FILES = 5_000
PATIENCE_SECONDS = 120


@contextmanager
def database(service: Service) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(service.data_dir / "lightwell.sqlite3", timeout=30)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def ask(service: Service, statement: str, *values: object) -> list[Any]:
    """The first row of an answer; a statement that changes something is committed."""
    with database(service) as connection:
        return list(connection.execute(statement, values).fetchone() or [None])


def insert(service: Service, table: str, columns: str, rows: Sequence[tuple[object, ...]]) -> None:
    places = ", ".join("?" * len(columns.split(", ")))
    with database(service) as connection:
        connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)


def make_organization(service: Service) -> str:
    name = f"killed-{uuid4().hex}"
    register(service, name)
    (org_id,) = ask(
        service,
        "SELECT org_id FROM memberships JOIN users ON users.id = user_id WHERE email = ?",
        f"{name}@example.com",
    )
    return str(org_id)


def rows_left(service: Service, org_id: str) -> int:
    tables = [table.name for table in Base.metadata.sorted_tables if "org_id" in table.columns]
    counts = [f"(SELECT count(*) FROM {name} WHERE org_id = ?1)" for name in tables]
    return int(ask(service, f"SELECT {' + '.join(counts)}", org_id)[0])


def fill(service: Service, org_id: str) -> None:
    """Many rows, and small files that share their bytes on disk."""
    errors = [(org_id, "2020-01-01", "live", f"code {n}", 1) for n in range(ROWS)]
    insert(service, "error_days", "org_id, day, mode, code, requests", errors)
    keys = [f"orgs/{org_id}/2020/01/{n}-a.jpg" for n in range(FILES)]
    storage = service.data_dir / "storage"
    (storage / keys[0]).parent.mkdir(parents=True)
    (storage / keys[0]).write_bytes(b"picture")
    for key in keys[1:]:
        os.link(storage / keys[0], storage / key)
    columns = (
        "org_id, mode, id, media_type, name, sort_name, original_name, mime_type, kind, size, "
        "width, height, frames, content, storage_key, thumbnail_key, tags, search, location_x, "
        "location_y, uploaded_at"
    )
    assets = [
        (
            *(org_id, "live", f"{org_id[-12:]}_{n}", "IMAGE", "a", "a", "a.jpg", "image/jpeg"),
            *("jpeg", 7, 1, 1, 1, "0" * 64, key, f"thumbnails/{org_id}/{n}", "[]", "a", 0, 0),
            LONG_AGO,
        )
        for n, key in enumerate(keys)
    ]
    insert(service, "assets", columns, assets)


def test_a_deletion_whose_worker_is_killed_is_finished(service: Service) -> None:
    gone, stays = make_organization(service), make_organization(service)
    fill(service, gone)
    others = rows_left(service, stays)
    before = rows_left(service, gone)
    ask(service, "UPDATE organizations SET delete_at = ? WHERE id = ?", LONG_AGO, gone)
    wait_until(lambda: rows_left(service, gone) < before - 10_000, "the deletion to be under way")
    assert kill(service, "app.worker.job_process")
    assert kill(service, "app.worker")
    assert ask(service, "SELECT delete_at FROM organizations WHERE id = ?", gone) == [LONG_AGO]
    assert rows_left(service, gone) > 10_000
    finished = "SELECT 1 FROM organizations WHERE id = ? AND delete_at IS NULL"
    wait_until(
        lambda: ask(service, finished, gone) == [1], "the deletion to be finished", PATIENCE_SECONDS
    )
    assert rows_left(service, gone) == 1
    assert not any((service.data_dir / "storage" / "orgs" / gone).rglob("*.jpg"))
    assert ask(service, "SELECT action FROM audit_entries WHERE org_id = ?", gone) == [
        "organization.deleted"
    ]
    assert rows_left(service, stays) == others


def test_a_data_export_whose_worker_is_killed_ends_whole(service: Service) -> None:
    org_id = make_organization(service)
    fill(service, org_id)
    export_id = f"data_{uuid4().hex[:24]}"
    columns = (
        "org_id, id, status, processed, total, attempts, lease_until, created_at, actor_kind, "
        "actor_id"
    )
    queued = (org_id, export_id, "queued", 0, 0, 0, LONG_AGO, LONG_AGO, "system", "test")
    insert(service, "data_exports", columns, [queued])

    def state(column: str) -> Any:
        return ask(service, f"SELECT {column} FROM data_exports WHERE id = ?", export_id)[0]

    wait_until(
        lambda: state("status") == "running", "the export to be under way", PATIENCE_SECONDS, 0.005
    )
    assert kill(service, "app.worker.job_process")
    assert kill(service, "app.worker")
    assert state("status") == "running"
    wait_until(lambda: state("status") == "done", "the export to be done", PATIENCE_SECONDS)
    assert state("attempts") == 2
    key = str(state("storage_key"))
    with ZipFile(service.data_dir / "storage" / key) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert len([name for name in names if name.startswith("live/originals/")]) == FILES
    assert len(names) == state("processed") == state("total")
