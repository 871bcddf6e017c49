"""``./run bench dashboard``: every page of a large organization, against the same page of an empty
one; the library's also searched, filtered and far down.

The large organization has a library of a hundred thousand assets, ten thousand days of usage, five
hundred members, a hundred keys and ten thousand entries in its audit log. Both are in one database,
SQLite or PostgreSQL, and take turns. The time is that of the server: a request through the whole
WSGI application, without a network.
"""

import argparse
import os
import platform
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, make_url, select

from app.dashboard.library import PAGE_SIZE
from app.extensions import db, transaction
from app.models import (
    Actor,
    ActorKind,
    ApiKey,
    AuditEntry,
    Membership,
    Mode,
    Organization,
    Role,
    UsageDay,
    User,
    new_id,
)
from app.services.accounts import identity, keys, sign_ins
from app.services.accounts.sign_ins import Device
from app.services.billing import plans
from app.services.library import facet_counts, listing
from app.services.library.listing import Filter, Sort
from app.web import requirements
from bench import library
from bench.list import migrated, postgresql_server
from bench.report import tell
from dev.ports import free_port
from dev.serve import valkey

DAYS, MEMBERS, KEYS, ENTRIES = 10_000, 500, 100, 10_000
AIM_MS = 100
LIBRARY = "/dashboard/{slug}/library"
LISTS = (
    "?q=img",
    f"?q={library.RARE_WORD}",
    "?q=img_12&sort=name",
    f"?tags={library.TOP_TAGS[0]}&type=IMAGE",
    "?kind=png&minSize=1048576&uploadedAfter=2025-01-01&sort=-size",
    f"?collectionId={library.COLLECTIONS[0]}&sort=name",
    "/results?q=sun",
)
"""Lists of the library, beside the first page."""


@dataclass(frozen=True)
class Timing:
    """One page: medians in milliseconds, and the number of SQL statements of the large one."""

    path: str
    empty: float
    large: float
    statements: int


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with (
        tempfile.TemporaryDirectory(prefix="lw-bench-", ignore_cleanup_errors=True) as name,
        ExitStack() as stack,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        redis_url = f"redis://127.0.0.1:{free_port()}/0"
        stack.enter_context(valkey(folder / "valkey", redis_url))
        server = stack.enter_context(postgresql_server(folder))
        databases = _databases(stack, folder, server, redis_url, options.assets)
        for database, app in databases.items():
            empty, large = organization(app, "empty"), organization(app, "large")
            _fill(app, large)
            tell(f"{database} is filled")
            timings = _measure(app, empty, large, options.rounds)
            print("\n".join(_report(database, timings, options)))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run bench dashboard", description="Measure the pages of the dashboard."
    )
    parser.add_argument("--assets", type=int, default=100_000, help="in the large library (100000)")
    parser.add_argument("--rounds", type=int, default=20, help="turns at each page (20)")
    return parser.parse_args()


def _databases(
    stack: ExitStack, folder: Path, server: str, redis_url: str, assets: int
) -> dict[str, Flask]:
    """Return an application for each database, with the library already in it."""
    file = folder / "lightwell.sqlite3"
    on_sqlite = migrated(stack, folder, f"sqlite:///{file}", redis_url=redis_url)
    library.fill_sqlite(file, assets)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE lightwell")
    address = make_url(server).set(database="lightwell").render_as_string(hide_password=False)
    on_postgresql = migrated(stack, folder, address, redis_url=redis_url)
    library.copy_to_postgresql(file, address)
    return {"SQLite": on_sqlite, "PostgreSQL": on_postgresql}


@dataclass(frozen=True)
class Owned:
    """An organization, and the token of its owner's session."""

    org_id: str
    slug: str
    owner: str
    token: str


def organization(app: Flask, size: str) -> Owned:
    """Make an owner, and an organization or, for the large one, give them the filled library's."""
    now = datetime.now(UTC)
    with app.app_context(), transaction() as session:
        email = f"{size}@example.com"
        own = identity.create_account(session, email, now, password="not needed here")
        user_id = session.scalars(select(User.id).where(User.email == email)).one()
        if size == "large":
            own = session.get_one(Organization, library.ORG)
            session.add(Membership(org_id=own.id, user_id=user_id, role=Role.OWNER, created_at=now))
        device = Device("127.0.0.1", "Mozilla/5.0 (X11; Linux x86_64)")
        token = sign_ins.begin(session, user_id, device, now, second_factor=True)
        owned = Owned(own.id, str(own.slug), user_id, token)
    with app.app_context(), transaction(owned.org_id) as session:
        plans.grant(session, "ENTERPRISE", Actor(ActorKind.SYSTEM, "bench"), now)
    return owned


def _fill(app: Flask, large: Owned) -> None:
    """Add what the library does not have: members, keys, days of usage, an audit log."""
    chance, now = random.Random(7), datetime.now(UTC)
    with app.app_context(), transaction() as session:
        for number in range(KEYS):
            keys.issue(
                session, org_id=large.org_id, mode=chance.choice(list(Mode)), prefix="ak_live_",
                name=f"Key {number}", now=now,
            )  # fmt: skip
        for number in range(MEMBERS):
            user_id, email = new_id("user", now), f"member-{number}@example.com"
            session.add(User(id=user_id, email=email, mailbox=email, created_at=now))
            session.flush()
            role = chance.choice(list(Role)[1:])
            session.add(Membership(org_id=large.org_id, user_id=user_id, role=role, created_at=now))
        key_ids = session.scalars(
            select(ApiKey.id).where(ApiKey.org_id == large.org_id).order_by(ApiKey.id)
        ).all()
    with app.app_context(), transaction(large.org_id) as session:
        for number in range(DAYS):
            session.add(
                UsageDay(
                    day=(now - timedelta(days=number)).date(),
                    mode=Mode.LIVE,
                    kind="compress",
                    actor_kind=ActorKind.KEY,
                    actor_id=chance.choice(key_ids),
                    images=chance.randrange(1, 1000),
                )
            )
        for number in range(ENTRIES):
            moment = now - timedelta(minutes=number)
            session.add(
                AuditEntry(
                    id=new_id("aud", moment),
                    actor=Actor(ActorKind.USER, large.owner),
                    action="organization.renamed",
                    before={"name": "one"},
                    after={"name": "two"},
                    created_at=moment,
                )
            )


def _measure(app: Flask, empty: Owned, large: Owned, rounds: int) -> list[Timing]:
    return [
        Timing(
            path=path.replace("{slug}", "…").partition("cursor=")[0],
            empty=statistics.median(first for first, _ in taken) * 1000,
            large=statistics.median(second for _, second in taken) * 1000,
            statements=statements,
        )
        for path in [*_paths(app), *(LIBRARY + query for query in LISTS), _deep(app, large)]
        for taken, statements in [_rounds(app, path, empty, large, rounds)]
    ]


def _rounds(
    app: Flask, path: str, empty: Owned, large: Owned, rounds: int
) -> tuple[list[tuple[float, float]], int]:
    app.extensions["lightwell"].redis.flushdb()  # Nobody may open as many pages a minute.
    clients = [(client_of(app, one), path.format(slug=one.slug)) for one in (empty, large)]
    for client, own in clients:
        _timed(client, own)
    with app.app_context(), counted() as statements:
        _timed(*clients[1])
        number = len(statements)
    taken = [(_timed(*clients[0]), _timed(*clients[1])) for _ in range(rounds)]
    return taken, number


def _paths(app: Flask) -> list[str]:
    """The pages of a member and of a person that need no id but the slug."""
    found = []
    for rule in app.url_map.iter_rules():
        requirement = getattr(app.view_functions[rule.endpoint], "requirement", None)
        is_page = isinstance(requirement, requirements.User) and "GET" in (rule.methods or ())
        if is_page and rule.arguments <= {"slug"}:
            found.append(rule.rule.replace("<slug>", "{slug}"))
    return sorted(found)


def _deep(app: Flask, large: Owned) -> str:
    """The part of the library's list that somebody sees who has scrolled half of it."""
    with app.app_context(), transaction(large.org_id, Mode.LIVE) as session:
        half = facet_counts.of(session, [facet_counts.ALL])[facet_counts.ALL] // (2 * PAGE_SIZE)
        found = listing.page_of(session, Filter(), Sort.UPLOADED_DESC, PAGE_SIZE, page=half)
    return f"{LIBRARY}/tiles?cursor={found.next_cursor}"


def client_of(app: Flask, owned: Owned) -> FlaskClient:
    client = app.test_client()
    with client.session_transaction() as session:
        session["_user_id"] = owned.token
    return client


def _timed(client: FlaskClient, path: str) -> float:
    began = time.perf_counter()
    answer = client.get(path, buffered=True)
    seconds = time.perf_counter() - began
    if answer.status_code >= 400:
        raise SystemExit(f"{path} answered {answer.status_code}")
    return seconds


@contextmanager
def counted() -> Iterator[list[str]]:
    """The SQL statements of the block."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def _report(database: str, timings: list[Timing], options: argparse.Namespace) -> list[str]:
    slowest = max(timings, key=lambda one: one.large)
    within = sum(one.large < AIM_MS for one in timings)
    return [
        "",
        f"{database}: {options.assets:,} assets, {DAYS:,} days, {MEMBERS} members, {KEYS} keys, "
        f"{ENTRIES:,} audit entries; medians of {options.rounds}, in milliseconds; "
        f"{os.cpu_count()} cores, Python {platform.python_version()}",
        f"{'page':<76}{'empty':>10}{'large':>10}{'statements':>12}",
        "─" * 108,
        *(
            f"{one.path:<76}{one.empty:>10.1f}{one.large:>10.1f}{one.statements:>12}"
            for one in timings
        ),
        "─" * 108,
        f"{within} of {len(timings)} under {AIM_MS} ms; slowest {slowest.large:.1f} ms "
        f"({slowest.path})",
    ]


if __name__ == "__main__":
    sys.exit(main())
