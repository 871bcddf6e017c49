"""Names and tags are searched and sorted without regard to case and accents. Kinds are counted, and
have an index.

On PostgreSQL it is one transaction. On SQLite it commits each batch, so that the log of changes
stays small; when it was interrupted it may be begun again, from the start.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.services.library import folding  # what it writes must be what the application looks for

revision = "0011"
down_revision = "0010"

BATCH = 10_000
INDEXES = {
    "content": ["content"],
    "name": ["sort_name", "id"],
    "size": ["size", "id"],
    "uploaded": ["uploaded_at", "id", "kind", "size"],
    "kind": ["kind", "uploaded_at", "id", "size"],
    "type_uploaded": ["media_type", "uploaded_at", "id"],
    "type_name": ["media_type", "sort_name", "id"],
    "type_size": ["media_type", "size", "id"],
    "collection_uploaded": ["collection_id", "uploaded_at", "id"],
    "collection_name": ["collection_id", "sort_name", "id"],
    "collection_size": ["collection_id", "size", "id"],
    "made_from": ["made_from"],
}
"""What begins with organization and mode. Without them the rows are written several times as
fast."""
SQLITE_TRIGGERS = (
    """CREATE TRIGGER asset_search_insert AFTER INSERT ON assets BEGIN
        INSERT INTO asset_search(rowid, search) VALUES (new.rowid, new.search);
    END""",
    """CREATE TRIGGER asset_search_delete AFTER DELETE ON assets BEGIN
        INSERT INTO asset_search(asset_search, rowid, search)
        VALUES ('delete', old.rowid, old.search);
    END""",
    """CREATE TRIGGER asset_search_update AFTER UPDATE OF search ON assets BEGIN
        INSERT INTO asset_search(asset_search, rowid, search)
        VALUES ('delete', old.rowid, old.search);
        INSERT INTO asset_search(rowid, search) VALUES (new.rowid, new.search);
    END""",
)
COUNTS = (
    "DELETE FROM asset_counts WHERE facet LIKE 'tag:%' OR facet LIKE 'kind:%'",
    "INSERT INTO asset_counts (org_id, mode, facet, count) "
    "SELECT org_id, mode, 'tag:' || tag, count(*) FROM asset_tags GROUP BY org_id, mode, tag",
    "INSERT INTO asset_counts (org_id, mode, facet, count) "
    "SELECT org_id, mode, 'kind:' || kind, count(*) FROM assets GROUP BY org_id, mode, kind",
)


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    with ExitStack() as stack:
        if is_sqlite:
            stack.enter_context(op.get_context().autocommit_block())
        _drop_indexes(is_sqlite)
        if not is_sqlite:
            _sort_by_bytes()
        _fill_assets(is_sqlite)
        _fill_tags(is_sqlite)
        for statement in COUNTS:
            op.execute(statement)
        _create_indexes(is_sqlite)


def _drop_indexes(is_sqlite: bool) -> None:
    if is_sqlite:
        for event in ("insert", "delete", "update"):
            op.execute(f"DROP TRIGGER IF EXISTS asset_search_{event}")
    else:
        op.execute("DROP INDEX IF EXISTS asset_search")
    for name in (*INDEXES, "published"):
        op.execute(f"DROP INDEX IF EXISTS ix_assets_{name}")


def _create_indexes(is_sqlite: bool) -> None:
    for name, columns in INDEXES.items():
        op.create_index(f"ix_assets_{name}", "assets", ["org_id", "mode", *columns])
    is_published = sa.text("public_token IS NOT NULL")
    op.create_index(
        "ix_assets_published",
        "assets",
        ["org_id", "mode", "uploaded_at", "id"],
        sqlite_where=is_published,
        postgresql_where=is_published,
    )
    if is_sqlite:
        op.execute("INSERT INTO asset_search(asset_search) VALUES ('rebuild')")
        for statement in SQLITE_TRIGGERS:
            op.execute(statement)
    else:
        op.execute(
            "CREATE INDEX asset_search ON assets USING gin (org_id, mode, search gin_trgm_ops)"
        )


def _sort_by_bytes() -> None:
    """As SQLite does it: names, and facets, whose beginnings are looked up."""
    for table, column, length in (
        ("assets", "sort_name", 255),
        ("trashed_assets", "sort_name", 255),
        ("asset_counts", "facet", 128),
    ):
        op.execute(f'ALTER TABLE {table} ALTER {column} TYPE VARCHAR({length}) COLLATE "C"')


def _fill_assets(is_sqlite: bool) -> None:
    bind = op.get_bind()
    for rows in _batches("SELECT id, name, original_name, tags FROM assets WHERE id > :last"):
        values = [_asset(*row) for row in rows]
        if is_sqlite:
            bind.exec_driver_sql("BEGIN")
            bind.execute(
                sa.text(
                    "UPDATE assets SET name = :name, original_name = :original_name, tags = :tags, "
                    "sort_name = :sort_name, search = :search WHERE id = :id"
                ),
                values,
            )
            bind.exec_driver_sql("COMMIT")
        else:
            columns = {name: [one[name] for one in values] for name in values[0]}
            arrays = ", ".join(f"CAST(:{name} AS text[])" for name in columns)
            bind.execute(
                sa.text(
                    "UPDATE assets SET name = new.name, original_name = new.original_name, "
                    "tags = CAST(new.tags AS json), sort_name = new.sort_name, search = new.search "
                    f"FROM unnest({arrays}) AS new ({', '.join(columns)}) WHERE assets.id = new.id"
                ),
                columns,
            )


def _asset(asset_id: str, name: str, original_name: str, tags: Any) -> dict[str, str]:
    """The texts of an asset, as the application writes them now."""
    name, original_name = folding.nfc(name), folding.nfc(original_name)
    kept = folding.distinct_tags(json.loads(tags) if isinstance(tags, str) else tags)
    return {
        "id": asset_id,
        "name": name,
        "original_name": original_name,
        "tags": json.dumps(kept),
        "sort_name": folding.sort_name(name),
        "search": folding.search_text(name, original_name, kept),
    }


def _fill_tags(is_sqlite: bool) -> None:
    """Tags become their keys. Of several that have one key in an asset, one row stays."""
    bind = op.get_bind()
    partitions = bind.execute(sa.text("SELECT DISTINCT org_id, mode FROM asset_counts")).all()
    for org_id, mode in partitions:
        query = (
            "SELECT substr(facet, 5) AS id FROM asset_counts WHERE org_id = :org_id AND "
            "mode = :mode AND facet > 'tag:' || :last AND facet < 'tag;'"
        )
        for rows in _batches(query, {"org_id": org_id, "mode": mode}, order="facet"):
            renamed = [
                {"org_id": org_id, "mode": mode, "tag": tag, "key": key}
                for (tag,) in rows
                if (key := folding.tag_key(tag)) != tag
            ]
            if not renamed:
                continue
            if is_sqlite:
                bind.exec_driver_sql("BEGIN")
            for statement in (
                "INSERT INTO asset_tags (org_id, mode, asset_id, tag, uploaded_at) "
                "SELECT org_id, mode, asset_id, :key, uploaded_at FROM asset_tags "
                "WHERE org_id = :org_id AND mode = :mode AND tag = :tag ON CONFLICT DO NOTHING",
                "DELETE FROM asset_tags WHERE org_id = :org_id AND mode = :mode AND tag = :tag",
            ):
                bind.execute(sa.text(statement), renamed)
            if is_sqlite:
                bind.exec_driver_sql("COMMIT")


def _batches(
    query: str, values: dict[str, str] | None = None, order: str = "id"
) -> Iterator[Sequence[Any]]:
    """The rows of ``query``, whose first column is what follows ``:last``, a batch at a time."""
    statement = sa.text(f"{query} ORDER BY {order} LIMIT {BATCH}")
    last = ""
    while True:
        found = op.get_bind().execute(statement, {**(values or {}), "last": last}).all()
        if not found:
            return
        yield found
        last = found[-1][0]
