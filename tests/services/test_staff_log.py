"""The staff's log: its chain of hashes, its triggers, and what is purged."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.exc import DatabaseError

from app.extensions import db, transaction
from app.models import Actor, ActorKind, StaffEntry, StaffLogHead
from app.services import staff_log
from app.services.staff_log import KEPT, PURGED, Acting
from app.tenancy import TenantSession
from tests.clock import Clock
from tests.databases import on_both_databases

WHO = Acting(Actor(ActorKind.STAFF, "user_ada", "203.0.113.7"), "ada@example.com", "to try it")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Undone(Exception):
    """Ends a transaction that must leave nothing."""


@contextmanager
def in_vain() -> Iterator[TenantSession]:
    """A transaction that is rolled back, because all tests share the log."""
    try:
        with transaction() as session:
            staff_log.lock(session)  # a transaction of SQLite's begins with its first write
            yield session
            session.flush()
            raise Undone
    except Undone:
        pass


def write(session: TenantSession, now: datetime, number: int = 1) -> list[StaffEntry]:
    """Some entries, one after the other."""
    return [
        staff_log.record(session, WHO, "thing.changed", now, subject="a", after={"step": step})
        for step in range(number)
    ]


def strip_triggers(session: TenantSession) -> None:
    """What the owner of the database can do."""
    connection = session.connection()
    on = " ON staff_entries" if connection.dialect.name == "postgresql" else ""
    for event in ("update", "delete"):
        connection.exec_driver_sql(f"DROP TRIGGER staff_entries_no_{event}{on}")


def by_hand(session: TenantSession, statement: str) -> None:
    session.flush()
    session.connection().exec_driver_sql(statement)
    session.expire_all()


@pytest.fixture
def log(context: None, clock: Clock) -> list[StaffEntry]:
    """Five entries, the last of the log."""
    with transaction() as session:
        return write(session, clock(), 5)


@on_both_databases
def test_each_entry_holds_the_hash_of_the_one_before(log: list[StaffEntry]) -> None:
    for earlier, later in pairwise(log):
        assert later.number == earlier.number + 1
        assert later.previous_hash == earlier.hash
    with transaction() as session:
        verdict = staff_log.verify(session)
        count = session.scalar(select(func.count()).select_from(StaffEntry))
    assert verdict.problem is None
    assert verdict.entries == count


TAMPERINGS: list[tuple[str, Callable[[int], str], int, str]] = [
    ("a change", lambda last: f"UPDATE staff_entries SET reason = 'x' WHERE number = {last - 2}",
     -2, "Entry {} was changed."),
    ("a changed value",
     lambda last: f"""UPDATE staff_entries SET after = '{{"step": 7}}' WHERE number = {last - 2}""",
     -2, "Entry {} was changed."),
    ("another time",
     lambda last: "UPDATE staff_entries SET created_at = '2020-01-01 00:00:00.000000' "
     f"WHERE number = {last}", 0, "Entry {} was changed."),
    ("another network",
     lambda last: f"UPDATE staff_entries SET address = NULL WHERE number = {last}",
     0, "Entry {} was changed."),
    ("a hole", lambda last: f"DELETE FROM staff_entries WHERE number = {last - 2}",
     -2, "Entry {} is missing."),
    ("an end that is cut off", lambda last: f"DELETE FROM staff_entries WHERE number > {last - 2}",
     -2, "Entries after {} are missing."),
    ("an empty log", lambda _: "DELETE FROM staff_entries", 0, "missing"),
]  # fmt: skip


@on_both_databases
@pytest.mark.parametrize(
    ("statement", "place", "problem"), [one[1:] for one in TAMPERINGS],
    ids=[one[0] for one in TAMPERINGS],
)  # fmt: skip
def test_what_was_done_behind_its_back_is_found(
    log: list[StaffEntry], statement: Callable[[int], str], place: int, problem: str
) -> None:
    last = log[-1].number
    with in_vain() as session:
        assert staff_log.verify(session).problem is None
        strip_triggers(session)
        by_hand(session, statement(last))
        found = staff_log.verify(session).problem
        assert found
        assert problem.format(last + place) in found


@on_both_databases
def test_a_change_that_hashes_itself_anew_is_found_too(log: list[StaffEntry]) -> None:
    """In the middle by the next entry, at the end by the row of the head."""
    for place, problem in ((2, f"Entry {log[3].number} was"), (4, f"Entry {log[4].number} is not")):
        with in_vain() as session:
            strip_triggers(session)
            number = log[place].number
            by_hand(session, f"UPDATE staff_entries SET reason = 'x' WHERE number = {number}")
            forged = staff_log.hash_of(session.get_one(StaffEntry, number))
            by_hand(session, f"UPDATE staff_entries SET hash = '{forged}' WHERE number = {number}")
            found = staff_log.verify(session).problem
            assert found
            assert found.startswith(problem)


@on_both_databases
def test_an_entry_that_was_added_by_hand_is_found(log: list[StaffEntry]) -> None:
    number = log[-1].number + 1
    with in_vain() as session:
        columns = ", ".join(column.key for column in StaffEntry.__mapper__.columns)
        copied = columns.replace("number", str(number), 1)
        by_hand(
            session,
            f"INSERT INTO staff_entries ({columns}) SELECT {copied} FROM staff_entries "
            f"WHERE number = {number - 1}",
        )
        assert staff_log.verify(session).problem == f"Entry {number} was added past the log."


@on_both_databases
@pytest.mark.parametrize("table", ["staff_entries", "plan_versions"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET reason = 'x'", "DELETE FROM {}", "TRUNCATE {}"]
)
def test_the_database_itself_refuses_changes(
    log: list[StaffEntry], table: str, statement: str
) -> None:
    """Whoever asks, also where the application's own guard is not."""
    is_sqlite = db.engine.dialect.name == "sqlite"
    if statement.startswith("TRUNCATE") and is_sqlite:
        pytest.skip("SQLite has no TRUNCATE")
    with in_vain() as session:
        by_hand(
            session,
            "INSERT INTO plan_versions "
            '(id, plan_code, number, "values", user_id, email, reason, created_at) VALUES '
            f"('{uuid4().hex}', 'FREE', 900, '{{}}', 'u', 'e', 'r', '2026-01-01 00:00:00')",
        )
        with pytest.raises(DatabaseError, match="append-only"):
            by_hand(session, statement.format(table))
        raise Undone


def test_a_row_is_not_replaced_either(log: list[StaffEntry]) -> None:
    """SQLite's REPLACE deletes without asking triggers for deletion."""
    columns = ", ".join(column.key for column in StaffEntry.__mapper__.columns)
    with in_vain() as session, pytest.raises(DatabaseError, match="append-only"):
        by_hand(
            session,
            f"INSERT OR REPLACE INTO staff_entries ({columns}) SELECT {columns} "
            f"FROM staff_entries WHERE number = {log[0].number}",
        )


def cleared(session: TenantSession, clock: Clock) -> datetime:
    """A noon at which a purge has left nothing but its own entry."""
    now = clock().replace(hour=12, minute=0, second=0, microsecond=0) + 2 * KEPT
    assert staff_log.release_expired(session, now)
    assert staff_log.verify(session) == staff_log.Verdict(1, None)
    return now


@on_both_databases
def test_old_days_are_purged_and_the_chain_goes_on(log: list[StaffEntry], clock: Clock) -> None:
    """The entry about it is the anchor; when it is old itself, its successor is."""
    with in_vain() as session:
        now = cleared(session, clock)
        last = write(session, now, 4)[-1].number
        write(session, now + timedelta(days=1), 3)
        for later in (KEPT, KEPT + timedelta(hours=11, minutes=59)):
            assert staff_log.release_expired(session, now + later) == 0  # the day is not over
        assert staff_log.release_expired(session, now + KEPT + timedelta(hours=12)) == 5
        left = list(session.scalars(select(StaffEntry).order_by(StaffEntry.number)))
        assert [entry.action for entry in left] == ["thing.changed"] * 3 + [PURGED]
        assert left[-1].after["upTo"] == last
        assert staff_log.verify(session) == staff_log.Verdict(4, None)
        assert staff_log.release_expired(session, now + KEPT + timedelta(hours=13)) == 0

        late = now + 2 * KEPT + timedelta(days=2)
        assert staff_log.release_expired(session, late) == 4
        write(session, late, 2)
        assert staff_log.verify(session) == staff_log.Verdict(3, None)


@on_both_databases
def test_what_is_old_but_was_removed_by_hand_is_missed(log: list[StaffEntry], clock: Clock) -> None:
    """The triggers let old entries go; without the entry that says so, the chain does not."""
    with in_vain() as session:
        write(session, clock() + KEPT + timedelta(days=1))
        by_hand(session, f"DELETE FROM staff_entries WHERE number = {log[1].number}")
        assert staff_log.verify(session).problem == f"Entry {log[1].number} is missing."


@on_both_databases
def test_an_entry_out_of_its_time_holds_nothing_up(log: list[StaffEntry], clock: Clock) -> None:
    """Who waited for the log wrote with an earlier time than who came first."""
    with in_vain() as session:
        midnight = cleared(session, clock) + timedelta(hours=12)
        write(session, midnight)
        straggler = write(session, midnight - timedelta(seconds=1))[0].number
        assert staff_log.release_expired(session, midnight + KEPT) == 1
        assert session.scalar(select(func.min(StaffEntry.number))) == straggler - 1
        assert staff_log.verify(session) == staff_log.Verdict(3, None)


@on_both_databases
def test_parallel_writers_number_without_gaps(app: Flask, context: None, clock: Clock) -> None:
    with transaction() as session:
        before = session.scalar(select(StaffLogHead.number)) or 0

    def write_some(_writer: int) -> None:
        for _ in range(5):
            with app.app_context(), transaction() as session:
                write(session, clock())

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write_some, range(4)))
    with transaction() as session:
        written = session.scalars(select(StaffEntry.number).where(StaffEntry.number > before))
        assert sorted(written) == list(range(before + 1, before + 21))
        assert staff_log.verify(session).problem is None


@on_both_databases
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(st.text(max_size=20), JSON, min_size=1, max_size=4),
    st.datetimes(
        min_value=datetime(2026, 1, 1), max_value=datetime(2027, 1, 1),  # noqa: DTZ001
        timezones=st.sampled_from((UTC, timezone(timedelta(hours=5, minutes=45)))),
    ),
)  # fmt: skip
def test_an_entry_has_the_same_hash_when_it_is_read_again(
    context: None, values: dict[str, Any], now: datetime
) -> None:
    with in_vain() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.connection().exec_driver_sql("SET LOCAL TIME ZONE 'Asia/Kathmandu'")
        number = staff_log.record(session, WHO, "thing.changed", now, after=values).number
        session.expunge_all()
        entry = session.get_one(StaffEntry, number)
        assert entry.hash == staff_log.hash_of(entry)
        assert entry.created_at == now
        assert staff_log.verify(session).problem is None


def test_values_are_kept_as_json_has_them(context: None, clock: Clock) -> None:
    moment = datetime(2026, 11, 24, 12, tzinfo=UTC)
    after = {"until": moment, "price": Decimal("1.10"), "days": (1, 2), "nested": {"at": moment}}
    with in_vain() as session:
        entry = staff_log.record(
            session, WHO, "thing.changed", clock(),
            subject="s" * 300, before={"same": 1, "until": None}, after={**after, "same": 1},
        )  # fmt: skip
        written = moment.isoformat()
        assert entry.before == {"until": None, "price": None, "days": None, "nested": None}
        assert entry.after == {
            "until": written, "price": "1.10", "days": [1, 2], "nested": {"at": written},
        }  # fmt: skip
        assert entry.subject == "s" * 255
        with pytest.raises(TypeError):
            staff_log.record(session, WHO, "thing.changed", clock(), after={"x": object()})
