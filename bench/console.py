"""``./run bench console``: every page of the staff console, over a hundred thousand organizations
and ten million entries of the ledger, in SQLite and in PostgreSQL.

The time is that of the server: a request through the whole WSGI application, without a network.
Pages of one organization are those of the largest.
"""

import argparse
import os
import platform
import random
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import psycopg
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import make_url

from app.extensions import db, transaction
from app.models import Actor, ActorKind, StaffRole, User, folded, new_id
from app.services import staff_log
from app.services.accounts import sign_ins
from app.services.accounts.sign_ins import Device
from app.services.staff_log import Acting
from app.web.requirements import Staff
from bench.dashboard import counted
from bench.list import migrated, postgresql_server
from bench.report import tell
from dev.ports import free_port
from dev.serve import valkey

AIM_MS = 150
ORGANIZATIONS, ENTRIES = 100_000, 10_000_000
SHARE_OF_LARGEST = 100
"""The largest organization has every so-manieth row of a table."""
NUMBERS = (
    "WITH RECURSIVE numbers(n) AS "
    "(SELECT CAST(1 AS bigint) UNION ALL SELECT n + 1 FROM numbers WHERE n < {}) "
)
LISTS = (
    "/admin/organizations?sort=name",
    "/admin/organizations?sort=usage",
    "/admin/organizations?sort=storage",
    "/admin/organizations?sort=seen",
    "/admin/organizations?plan=ENTERPRISE",
    "/admin/organizations?plan=ENTERPRISE&sort=usage",
    "/admin/organizations?state=suspended",
    "/admin/organizations?state=overdue&sort=storage",
    "/admin/organizations?q=studio%2004",
    "/admin/users?text=person-04",
    "/admin/users?kind=staff",
    "/admin/audit?action=organization.suspended",
    "/admin/stripe?state=waiting",
    "/admin/search?q=studio%200421",
    "/admin/search?q=person-0421",
    "/admin/search?q=aB3x",
    "/admin/search?q=cus_00000000000000000000",
)
"""Lists with a filter or another order, and searches, beside the plain pages."""


@dataclass(frozen=True)
class Timing:
    """One page on one database: the median in milliseconds, and its SQL statements."""

    path: str
    milliseconds: float
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
        for database, address in _addresses(folder, server, options.databases):
            app = migrated(stack, folder, address, redis_url=redis_url)
            with app.app_context():
                _fill(options.organizations, options.entries)
            tell(f"{database} is filled")
            timings = list(_measure(app, options.rounds))
            print("\n".join(_report(database, timings, options)), flush=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run bench console", description="Measure the pages of the staff console."
    )
    parser.add_argument("--organizations", type=int, default=ORGANIZATIONS)
    parser.add_argument("--entries", type=int, default=ENTRIES, help="of the ledger")
    parser.add_argument("--rounds", type=int, default=10, help="turns at each page (10)")
    parser.add_argument("--databases", default="sqlite,postgresql")
    return parser.parse_args()


def _addresses(folder: Path, server: str, wanted: str) -> Iterator[tuple[str, str]]:
    if "sqlite" in wanted:
        yield "SQLite", f"sqlite:///{folder / 'lightwell.sqlite3'}"
    if "postgresql" in wanted:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("CREATE DATABASE lightwell")
        address = make_url(server).set(database="lightwell")
        yield "PostgreSQL", address.render_as_string(hide_password=False)


def _fill(organizations: int, entries: int) -> None:
    is_postgresql = db.engine.dialect.name == "postgresql"
    for table, rows, columns in _tables(is_postgresql, organizations, entries):
        statement = (
            f"INSERT INTO {table} ({', '.join(columns)}) {NUMBERS.format(rows)}"
            f"SELECT {', '.join(columns.values())} FROM numbers"
        )
        with db.engine.begin() as connection:
            if not is_postgresql:
                connection.exec_driver_sql("PRAGMA cache_size = -500000")
            # psycopg takes a single percent sign for a parameter.
            connection.exec_driver_sql(statement.replace("%", "%%" if is_postgresql else "%"))
    with transaction() as session:
        who = Acting(Actor(ActorKind.STAFF, "user_of_the_bench"), "bench@example.com", "A reason")
        for number in range(10_000):
            action = random.Random(number).choice(("organization.suspended", "plan.changed"))
            staff_log.record(
                session, who, action, _now(), org_id=_an_id("org", number + 1),
                before={"state": "active"}, after={"state": "suspended"},
            )  # fmt: skip
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def _tables(
    is_postgresql: bool, organizations: int, entries: int
) -> Iterator[tuple[str, int, dict[str, str]]]:
    """Table, number of rows, and its columns as SQL over ``n``. Everything is made from ``n`` by
    arithmetic, so both databases get the same rows."""
    pad = "lpad(CAST({} AS text), {}, '0')" if is_postgresql else "printf('%0{1}d', {0})"
    day = (
        "DATE '{0}' - CAST({1} AS integer)"
        if is_postgresql
        else "date('{0}', '-' || ({1}) || ' days')"
    )
    moment = (
        "TIMESTAMPTZ '{0}' - ({1}) * INTERVAL '1 minute'"
        if is_postgresql
        else "strftime('%Y-%m-%d %H:%M:%S.000000', '{0}', '-' || ({1}) || ' minutes')"
    )
    now = f"{_now():%Y-%m-%d %H:%M:%S}"
    month = f"{_now():%Y-%m}-01"

    def digits(of: str, length: int = 24) -> str:
        return pad.format(of, length)

    def an_id(prefix: str, of: str) -> str:
        return f"'{prefix}_' || {digits(of)}"

    def ago(minutes: str) -> str:
        return moment.format(now, minutes)

    org = f"CASE WHEN n % {SHARE_OF_LARGEST} = 0 THEN 1 ELSE 1 + n * 7919 % {organizations} END"
    # Neighbours in the table are neighbours in its indexes, which are filled ten times as fast.
    turn = f"1 + (n - 1) * {organizations} / {entries}"
    in_turn = f"CASE WHEN n % {SHARE_OF_LARGEST} = 0 THEN 1 ELSE {turn} END"
    false = "false" if is_postgresql else "0"
    live = "'live'"
    code = (
        "CASE WHEN n % 1000 = 7 THEN 'ENTERPRISE' WHEN n % 50 = 7 THEN 'BUSINESS' "
        "WHEN n % 10 = 7 THEN 'TEAM' ELSE 'FREE' END"
    )
    yield "organizations", organizations, {
        "id": an_id("org", "n"), "name": f"'Studio ' || {digits('n', 6)}",
        "folded_name": f"'studio ' || {digits('n', 6)}", "slug": f"'studio-' || {digits('n', 6)}",
        "plan_code": code, "paid_plan_code": "CASE WHEN n % 10 = 7 THEN 'TEAM' END",
        "plan_lapses_at": f"CASE WHEN n % 2000 = 7 THEN {ago('n')} END",
        "metered": false, "flag": "CASE WHEN n % 5000 = 9 THEN 'Look into it' END",
        "suspended_at": f"CASE WHEN n % 3000 = 11 THEN {ago('n')} END",
        "suspended_reason": "CASE WHEN n % 3000 = 11 THEN 'Spam' END",
        "last_seen_at": f"CASE WHEN n % 3 > 0 THEN {ago('n * 17 % 500000')} END",
        "time_zone": "'UTC'", "default_quality": "80",
        "delete_at": f"CASE WHEN n % 7000 = 13 THEN {ago('-n')} END",
        "created_at": ago(f"({organizations} - n) * 10"),
    }  # fmt: skip
    yield "users", organizations, {
        "id": an_id("user", "n"), "email": f"'person-' || {digits('n', 6)} || '@example.com'",
        "mailbox": f"'person-' || {digits('n', 6)} || '@example.com'",
        "name": f"'Person ' || {digits('n', 6)}", "folded_name": f"'person ' || {digits('n', 6)}",
        "totp_last_step": "0", "confirmed_at": f"CASE WHEN n % 9 > 0 THEN {ago('n')} END",
        "created_at": ago("n"),
    }  # fmt: skip
    yield "memberships", organizations, {
        "org_id": an_id("org", "n"), "user_id": an_id("user", "n"), "role": "'owner'",
        "steps_hidden": false, "created_at": ago("n"),
    }  # fmt: skip
    yield "api_keys", 2 * organizations, {
        "id": an_id("key", "n"), "org_id": an_id("org", f"1 + n % {organizations}"),
        "name": "'Default'", "prefix": "'ak_live_'", "secret_sha256": digits("n", 64),
        "last4": digits("n % 10000", 4), "mode": live, "scopes": "'[\"read\", \"write\"]'",
        "created_at": ago("n"),
    }  # fmt: skip
    for months in range(6):
        yield "usage_counters", organizations, {
            "org_id": an_id("org", "n"), "period": f"'{_months_ago(month, months)}'",
            "used": "n * 31 % 100000", "reserved": "0",
        }  # fmt: skip
    yield "storage_counters", organizations, {
        "org_id": an_id("org", "n"), "bytes": "CAST(n AS bigint) * 104729 % 100000000000",
    }  # fmt: skip
    yield "usage_days", 10 * organizations, {
        "org_id": an_id("org", f"1 + n % {organizations}"),
        "day": day.format(month, f"n / {organizations}"), "mode": live, "kind": "'compress'",
        "actor_kind": "'key'", "actor_id": an_id("key", f"1 + n % {organizations}"),
        "images": "n % 500",
    }  # fmt: skip
    yield "billing_accounts", organizations // 5, {
        "org_id": an_id("org", "n * 5"), "customer_id": f"'cus_' || {digits('n')}",
        "subscription_id": f"'sub_' || {digits('n')}", "customers": "1", "revision": "1",
        "status": "CASE WHEN n % 10 = 0 THEN 'canceled' ELSE 'active' END", "plan_code": "'TEAM'",
        "interval": "'month'",
    }  # fmt: skip
    yield "stripe_events", organizations, {
        "id": f"'evt_' || {digits('n')}", "type": "'invoice.paid'",
        "subject": f"'cus_' || {digits('n')}", "created_at": ago("n"), "received_at": ago("n"),
        "handled_at": f"CASE WHEN n % 1000 > 0 THEN {ago('n')} END",
        "next_attempt_at": f"CASE WHEN n % 1000 = 0 THEN {ago('-n')} END", "attempts": "1",
        "outcome": "'applied'",
    }  # fmt: skip
    yield "audit_entries", 3 * organizations, {
        "id": an_id("aud", "n"), "org_id": an_id("org", org), "actor_kind": "'user'",
        "actor_id": an_id("user", "n"), "action": "'organization.renamed'",
        "before": "'{\"name\": \"one\"}'", "after": "'{\"name\": \"two\"}'", "created_at": ago("n"),
    }  # fmt: skip
    yield "request_entries", 3 * organizations, {
        "id": an_id("req", "n"), "org_id": an_id("org", org), "key_id": an_id("key", "n"),
        "mode": live, "method": "'POST'", "route": "'/compress/batch'",
        "status": "CASE WHEN n % 50 = 0 THEN 429 ELSE 200 END",
        "code": "CASE WHEN n % 50 = 0 THEN 'rate_limited' END", "milliseconds": "n % 900",
        "bytes_in": "n", "bytes_out": "n", "created_at": ago("n % 43000"),
    }  # fmt: skip
    yield "mails", organizations, {
        "id": an_id("mail", "n"), "recipient": f"'person-' || {digits('n', 6)} || '@example.com'",
        "subject": "'Confirm your address'", "created_at": ago("n % 43000"),
        "sent_at": ago("n % 43000"), "attempts": "1",
    }  # fmt: skip
    yield "usage_entries", entries, {
        "id": an_id("use", "n"), "org_id": an_id("org", in_turn), "actor_kind": "'key'",
        "actor_id": an_id("key", f"1 + n % {organizations}"), "kind": "'compress'",
        "period": f"'{month}'", "state": "'settled'", "images": "n % 20",
        "lease_until": ago(f"({entries} - n) / 50"), "created_at": ago(f"({entries} - n) / 50"),
    }  # fmt: skip


def _now() -> datetime:
    return datetime.now(UTC)


def _months_ago(first: str, months: int) -> str:
    day = datetime.fromisoformat(first)
    for _ in range(months):
        day = (day - timedelta(days=1)).replace(day=1)
    return f"{day:%Y-%m-%d}"


def _an_id(prefix: str, number: int) -> str:
    return f"{prefix}_{number:024}"


def _measure(app: Flask, rounds: int) -> Iterator[Timing]:
    client = _staff(app)
    for path in [*_pages(app), *LISTS]:
        app.extensions["lightwell"].redis.flushdb()  # Nobody may open as many pages a minute.
        _timed(client, path)
        with app.app_context(), counted() as statements:
            _timed(client, path)
            number = len(statements)
        taken = [_timed(client, path) for _ in range(rounds)]
        yield Timing(path, statistics.median(taken) * 1000, number)


def _staff(app: Flask) -> FlaskClient:
    now = _now()
    with app.app_context(), transaction() as session:
        email = "boss@example.com"
        user = User(
            id=new_id("user", now), email=email, mailbox=email, staff_role=StaffRole.ADMIN,
            folded_name=folded("Boss"), confirmed_at=now, created_at=now,
        )  # fmt: skip
        session.add(user)
        session.flush()
        token = sign_ins.begin(session, user.id, Device("127.0.0.1", ""), now, second_factor=True)
    client = app.test_client()
    with client.session_transaction() as cookie:
        cookie["_user_id"] = token
    return client


IDS = {
    "org_id": _an_id("org", 1),
    "user_id": _an_id("user", 1),
    "event_id": f"evt_{1:024}",
    "code": "TEAM",
    "number": "1",
}
"""What stands for the ids in paths."""


def _pages(app: Flask) -> list[str]:
    """The pages whose ids are known; downloads are files, not pages."""
    address = app.url_map.bind("localhost")
    return sorted(
        address.build(rule.endpoint, {name: IDS[name] for name in rule.arguments})
        for rule in app.url_map.iter_rules()
        if isinstance(getattr(app.view_functions[rule.endpoint], "requirement", None), Staff)
        and "GET" in (rule.methods or ())
        and rule.arguments <= IDS.keys()
        and not rule.rule.endswith(".csv")
    )


def _timed(client: FlaskClient, path: str) -> float:
    began = perf_counter()
    answer = client.get(path, buffered=True)
    seconds = perf_counter() - began
    if answer.status_code >= 400:
        raise SystemExit(f"{path} answered {answer.status_code}")
    return seconds


def _report(database: str, timings: list[Timing], options: argparse.Namespace) -> list[str]:
    slowest = max(timings, key=lambda one: one.milliseconds)
    within = sum(one.milliseconds < AIM_MS for one in timings)
    return [
        "",
        f"{database}: {options.organizations:,} organizations, {options.entries:,} entries of the "
        f"ledger; medians of {options.rounds}; {os.cpu_count()} cores, "
        f"Python {platform.python_version()}",
        f"{'page':<76}{'ms':>10}{'statements':>12}",
        "─" * 98,
        *(f"{one.path:<76}{one.milliseconds:>10.1f}{one.statements:>12}" for one in timings),
        "─" * 98,
        f"{within} of {len(timings)} under {AIM_MS} ms; slowest {slowest.milliseconds:.1f} ms "
        f"({slowest.path})",
    ]


if __name__ == "__main__":
    sys.exit(main())
