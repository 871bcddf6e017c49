"""A realistic library of any size, written directly into a migrated database.

The rows depend only on the number of assets, so every run and both databases get the same ones. The
tables also contain another organization with a tenth as many assets, and the test mode of the same
one with a hundredth.
"""

import hashlib
import itertools
import json
import random
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from app.services.library.folding import search_text, sort_name, tag_key

ORG, OTHER_ORG = "org_bench", "org_other"
RARE_WORD, RARE_ASSETS = "quetzal", 3
"""In the names of so many assets, however many there are."""
RARE_TAG, RARE_TAG_ASSETS = "keepsake", 20
VIDEOS = 0.03
FIRST, SPAN = datetime(2023, 11, 1, tzinfo=UTC), timedelta(days=3 * 365)
TOP_TAGS = ("product", "Outdoor", "2025", "portrait", "Événement")
ACCENTED = "Dürer Łódź"
"""Words in the names of one asset of a hundred."""
COLLECTIONS = [f"col_{number:024}" for number in range(40)]
"""The first has an eighth of the assets, each other four fifths of the one before; the last has the
rare tag's."""
FILLED = ("organizations", "collections", "assets", "asset_tags", "asset_counts")
BATCH = 20_000

_chance = random.Random(7)
_SYLLABLES = (
    "an", "bel", "cor", "da", "el", "fi", "gar", "hu", "in", "jo", "ka", "lin", "mo", "ne", "or",
    "pa", "ri", "sun",
    "ta", "ul", "ver", "win", "ya", "zo",
)  # fmt: skip
WORDS = sorted(
    {"".join(_chance.choices(_SYLLABLES, k=_chance.choice((2, 2, 3)))) for _ in range(3000)}
)
TAGS = [*TOP_TAGS, *(word for word in WORDS[::2])]
TAG_WEIGHTS = list(itertools.accumulate(1 / (rank + 2) for rank in range(len(TAGS))))
COLLECTION_WEIGHTS = list(itertools.accumulate(0.8**rank for rank in range(len(COLLECTIONS) - 1)))

ASSET_COLUMNS = (
    "id", "org_id", "mode", "media_type", "name", "sort_name", "original_name", "mime_type", "kind",
    "size", "width",
    "height", "frames", "duration_ms", "content", "storage_key", "thumbnail_key", "tags", "search",
    "collection_id",
    "location_x", "location_y", "uploaded_at",
)  # fmt: skip
TAG_COLUMNS = ("org_id", "mode", "asset_id", "tag", "uploaded_at")
Row = tuple[object, ...]


def fill_sqlite(path: Path, assets: int) -> None:
    """Fill all tables of the library. Indexes are created afterwards, which is several times
    faster."""
    with sqlite3.connect(path) as connection:
        for pragma in ("synchronous=OFF", "cache_size=-400000"):
            connection.execute(f"PRAGMA {pragma}")
        later = connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql "
            "IS NOT NULL AND tbl_name IN ('assets', 'asset_tags')"
        ).fetchall()
        for kind, name, _ in later:
            connection.execute(f"DROP {kind} {name}")
        _insert_all(connection, assets)
        for _, _, sql in later:
            connection.execute(sql)
        connection.execute("INSERT INTO asset_search(asset_search) VALUES ('rebuild')")
    connection.close()


def copy_to_postgresql(source: Path, address: str) -> None:
    """Copy the same rows, and collect the statistics that autovacuum would collect later."""
    with psycopg.connect(address, autocommit=True) as target, sqlite3.connect(source) as connection:
        target.execute("SET timezone = 'UTC'")
        target.execute("SET maintenance_work_mem = '512MB'")
        later = target.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('assets', 'asset_tags')"
            " AND indexdef NOT LIKE 'CREATE UNIQUE%'"
        ).fetchall()
        for name, _ in later:
            target.execute(f"DROP INDEX {name}")
        for table in FILLED:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            rows = connection.execute(f"SELECT {', '.join(columns)} FROM {table}")
            with target.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        for _, sql in later:
            target.execute(sql)
        target.execute("VACUUM (ANALYZE)")
    connection.close()


def _insert_all(connection: sqlite3.Connection, assets: int) -> None:
    now = _text(FIRST)
    for org in (ORG, OTHER_ORG):
        connection.execute(
            "INSERT INTO organizations (id, name, slug, plan_code, metered, created_at) "
            "VALUES (?, ?, ?, 'FREE', FALSE, ?)",
            (org, org, org.replace("_", "-"), now),
        )
    connection.executemany(
        "INSERT INTO collections (mode, org_id, id, name, place, created_at, updated_at) VALUES "
        "(?, ?, ?, ?, ?, ?, ?)",
        [("live", ORG, name, name, f"/{name}", now, now) for name in COLLECTIONS],
    )
    shares = (
        (ORG, "live", assets),
        (OTHER_ORG, "live", assets // 10),
        (ORG, "test", assets // 100),
    )
    for org, mode, count in shares:
        rows = _library(org, mode, count)
        while batch := list(itertools.islice(rows, BATCH)):
            _insert(connection, "assets", ASSET_COLUMNS, (asset for asset, _ in batch))
            _insert(
                connection,
                "asset_tags",
                TAG_COLUMNS,
                itertools.chain.from_iterable(tags for _, tags in batch),
            )
    for facet, table in (
        ("'all'", "assets"),
        ("'type:' || media_type", "assets"),
        ("'kind:' || kind", "assets"),
        ("'collection:' || collection_id", "assets WHERE collection_id IS NOT NULL"),
        ("'tag:' || tag", "asset_tags"),
    ):
        connection.execute(
            f"INSERT INTO asset_counts (org_id, mode, facet, count) SELECT org_id, mode, {facet}, "
            f"count(*) FROM {table} GROUP BY 1, 2, 3"
        )


def _insert(
    connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Iterable[Row]
) -> None:
    values = ", ".join("?" * len(columns))
    connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})", rows)


def _library(org: str, mode: str, count: int) -> Iterator[tuple[Row, list[Row]]]:
    """Yield assets in upload order, each with its tag rows."""
    chance = random.Random(f"{org} {mode} {count}")
    planted = chance.sample(range(count), min(count, RARE_ASSETS + RARE_TAG_ASSETS))
    named, tagged = set(planted[:RARE_ASSETS]), set(planted[RARE_ASSETS:])
    for number in range(count):
        moment = FIRST + SPAN * ((number + chance.random()) / count)
        uploaded_at = _text(moment)
        asset_id = f"ast_{number:09}{chance.getrandbits(60):015x}"
        is_video = chance.random() < VIDEOS
        name, kind = _name(chance, moment, is_video)
        name = f"{RARE_WORD} {name}" if number in named else name
        tags = _tags(chance) + ([RARE_TAG] if number in tagged else [])
        collection = _collection(chance, number in tagged) if (org, mode) == (ORG, "live") else None
        content = hashlib.sha256(asset_id.encode()).hexdigest()
        stored = f"orgs/{org}/{moment:%Y/%m}/{content[:32]}-{name}"
        media_type = "VIDEO" if is_video else "IMAGE"
        asset = (
            asset_id, org, mode, media_type, name, sort_name(name), name,
            f"{media_type.lower()}/{kind}", kind,
            int(chance.lognormvariate(14.5, 1.1)), 4032, 3024, 900 if is_video else 1,
            30_000 if is_video else None,
            content, stored, f"orgs/{org}/thumbnails/{content[:32]}.webp", json.dumps(tags),
            search_text(name, name, tags), collection, 0.0, 0.0, uploaded_at,
        )  # fmt: skip
        yield asset, [(org, mode, asset_id, tag_key(tag), uploaded_at) for tag in tags]


def _name(chance: random.Random, moment: datetime, is_video: bool) -> tuple[str, str]:
    """Return a file's name and kind."""
    number, pick = chance.randrange(10_000), chance.random()
    if is_video:
        return (
            (f"IMG_{number:04}.MOV", "mov")
            if pick < 0.5
            else (f"VID_{moment:%Y%m%d}_{number:04}.mp4", "mp4")
        )
    if pick < 0.45:
        return (f"IMG_{number:04}.HEIC", "heif") if number % 2 else (f"IMG_{number:04}.JPG", "jpeg")
    if pick < 0.46:
        return f"{ACCENTED} {number % 100}.jpg", "jpeg"
    if pick < 0.6:
        return f"DSC{number:05}.jpg", "jpeg"
    if pick < 0.7:
        return f"Screenshot {moment:%Y-%m-%d at %H.%M.%S}.png", "png"
    extension, kind = chance.choice(
        (("jpg", "jpeg"), ("jpg", "jpeg"), ("webp", "webp"), ("png", "png"))
    )
    return f"{chance.choice(WORDS)}-{chance.choice(WORDS)}-{number % 100}.{extension}", kind


def _collection(chance: random.Random, is_planted: bool) -> str | None:
    if is_planted:
        return COLLECTIONS[-1]
    return (
        chance.choices(COLLECTIONS[:-1], cum_weights=COLLECTION_WEIGHTS)[0]
        if chance.random() < 0.6
        else None
    )


def _tags(chance: random.Random) -> list[str]:
    drawn = chance.choices(TAGS, cum_weights=TAG_WEIGHTS, k=chance.choice((0, 1, 2, 3, 4, 6)))
    return list(dict.fromkeys(drawn))


def _text(moment: datetime) -> str:
    """As SQLAlchemy writes moments to SQLite."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
