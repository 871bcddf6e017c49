"""The wall: whatever form a statement takes, it sees one organization."""

import ast
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select, delete, exists, func, insert, literal, select, union_all, update
from sqlalchemy.orm import aliased

from app.extensions import transaction
from app.models import AuditEntry, ExportPreset, Organization, UsageCounter, new_id
from app.services import audit
from app.tenancy import (
    TenancyError,
    bind_org,
    erasing,
    insert_if_absent,
    insert_those_absent,
    unscoped,
)
from tests.actors import TEST
from tests.architecture.test_sources import SOURCES
from tests.clock import NOON
from tests.conftest import ROOT, Account
from tests.databases import on_both_databases

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]
JUNE = date(2026, 6, 1)


@pytest.fixture(autouse=True)
def counters(context: None, acme: Account, globex: Account) -> None:
    """acme has used 1, globex 2."""
    for account, used in ((acme, 1), (globex, 2)):
        with transaction(account.org_id) as session:
            session.add(UsageCounter(period=JUNE, used=used, reserved=0))


STATEMENTS: dict[str, Callable[[], Select[Any]]] = {
    "select": lambda: select(UsageCounter.used),
    "entity": lambda: select(UsageCounter).with_only_columns(UsageCounter.used),
    "alias": lambda: select(aliased(UsageCounter).used),
    "subquery": lambda: select(select(UsageCounter.used).subquery().c.used),
    "cte": lambda: select(select(UsageCounter.used).cte().c.used),
    "union": lambda: select(
        union_all(select(UsageCounter.used), select(literal(1).label("used"))).subquery().c.used
    ),
    "in": lambda: select(UsageCounter.used).where(
        UsageCounter.org_id.in_(select(UsageCounter.org_id))
    ),
    "count": lambda: (
        select(func.count()).select_from(UsageCounter).where(UsageCounter.period == JUNE)
    ),
    "max": lambda: select(func.max(UsageCounter.used)),
    "scalar subquery": lambda: select(select(func.sum(UsageCounter.used)).scalar_subquery()),
    "join": lambda: select(UsageCounter.used).join(
        other := aliased(UsageCounter), other.period == UsageCounter.period
    ),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_read_sees_one_organization(acme: Account, name: str) -> None:
    with transaction(acme.org_id) as session:
        assert set(session.scalars(STATEMENTS[name]())) == {1}


@pytest.mark.parametrize("name", STATEMENTS)
def test_unbound_sessions_see_nothing(name: str) -> None:
    with transaction() as session:
        values = [value for value in session.scalars(STATEMENTS[name]()) if value]
    assert values == ([1] if name == "union" else []), (
        "a union holds a literal of its own, and nothing else"
    )


def test_exists_and_get_see_one_organization(acme: Account, globex: Account) -> None:
    with transaction(acme.org_id) as session:
        assert not session.scalar(select(exists().where(UsageCounter.used == 2)))
        assert session.get(UsageCounter, (globex.org_id, JUNE)) is None
        assert session.get_one(UsageCounter, (acme.org_id, JUNE)).used == 1


def test_updates_and_deletes_hit_one_organization(acme: Account, globex: Account) -> None:
    with transaction(acme.org_id) as session:
        assert session.change(update(UsageCounter).values(used=7)) == 1
    with transaction(globex.org_id) as session:
        assert session.scalars(select(UsageCounter.used)).one() == 2
        assert session.change(delete(UsageCounter)) == 1
    with transaction(acme.org_id) as session:
        assert session.scalars(select(UsageCounter.used)).one() == 7
    with transaction() as session:
        assert session.change(update(UsageCounter).values(used=9)) == 0


def test_new_rows_are_stamped_and_foreign_ones_refused(acme: Account, globex: Account) -> None:
    with pytest.raises(TenancyError), transaction(acme.org_id) as session:
        session.add(UsageCounter(org_id=globex.org_id, period=date(2026, 7, 1), used=0, reserved=0))
    with pytest.raises(TenancyError), transaction() as session:
        session.add(UsageCounter(org_id=globex.org_id, period=date(2026, 7, 1), used=0, reserved=0))
    with pytest.raises(TenancyError), transaction(acme.org_id) as session:
        session.scalars(select(UsageCounter)).one().org_id = globex.org_id


def test_bulk_inserts_are_refused(acme: Account, globex: Account) -> None:
    values = {"org_id": globex.org_id, "period": date(2026, 8, 1), "used": 0, "reserved": 0}
    with pytest.raises(TenancyError), transaction(acme.org_id) as session:
        session.execute(insert(UsageCounter), [values])
    with pytest.raises(TenancyError), transaction(acme.org_id) as session:
        insert_if_absent(session, UsageCounter, **values)
    with pytest.raises(TenancyError), transaction() as session:
        insert_if_absent(session, UsageCounter, **values)
    with pytest.raises(TenancyError), transaction(acme.org_id) as session:
        insert_those_absent(session, UsageCounter, [{**values, "org_id": acme.org_id}, values])


def test_a_session_is_bound_once(acme: Account, globex: Account) -> None:
    with transaction(acme.org_id) as session:
        bind_org(session, acme.org_id)
        with pytest.raises(TenancyError):
            bind_org(session, globex.org_id)
        with pytest.raises(TenancyError), unscoped(session, "no"):
            pass


def test_unscoped_sees_all_and_keeps_nothing(acme: Account, globex: Account) -> None:
    orgs = (acme.org_id, globex.org_id)
    with transaction() as session:
        with unscoped(session, "a test"):
            rows = session.scalars(select(UsageCounter).where(UsageCounter.org_id.in_(orgs))).all()
            assert sorted(row.used for row in rows) == [1, 2]
        assert session.get(UsageCounter, (acme.org_id, JUNE)) is None


def test_insert_if_absent_tells_the_truth(acme: Account) -> None:
    with transaction(acme.org_id) as session:
        assert not insert_if_absent(session, UsageCounter, period=JUNE, used=5, reserved=0)
        assert insert_if_absent(session, UsageCounter, period=date(2027, 1, 1), used=5, reserved=0)
        months = [{"period": date(2027, month, 1), "used": 0, "reserved": 0} for month in (1, 2, 3)]
        assert insert_those_absent(session, UsageCounter, months) == 2


def preset(**values: Any) -> ExportPreset:
    moment = NOON
    return ExportPreset(
        id=new_id("preset", moment),
        name="one",
        quality=80,
        preserve_aspect=True,
        created_at=moment,
        updated_at=moment,
        **values,
    )


def test_the_modes_of_one_organization_are_apart(acme: Account) -> None:
    for mode in ("live", "test"):
        with transaction(acme.org_id, mode) as session:
            session.add(preset())
    for mode in ("live", "test"):
        with transaction(acme.org_id, mode) as session:
            assert session.scalars(select(ExportPreset.mode)).all() == [mode]
            assert session.scalar(select(func.count()).select_from(ExportPreset)) == 1
    with transaction(acme.org_id) as session:
        assert session.scalars(select(ExportPreset.mode)).all() == []
        assert session.change(delete(ExportPreset)) == 0
    with transaction(acme.org_id, "test") as session:
        assert session.change(delete(ExportPreset)) == 1


def test_rows_are_not_written_into_the_other_mode(acme: Account) -> None:
    with pytest.raises(TenancyError), transaction(acme.org_id, "live") as session:
        session.add(preset(mode="test"))
    with pytest.raises(TenancyError), transaction(acme.org_id) as session:
        session.add(preset())
    with pytest.raises(TenancyError), transaction(acme.org_id, "live") as session:
        insert_if_absent(session, ExportPreset, mode="test")
    with pytest.raises(TenancyError), transaction(acme.org_id) as session:
        insert_if_absent(session, ExportPreset)
    with pytest.raises(TenancyError), transaction(acme.org_id, "live") as session:
        bind_org(session, acme.org_id, "test")


def test_what_is_refused_is_found_behind_what_is_not_owned(acme: Account, globex: Account) -> None:
    moment = NOON
    fine = Organization(id=new_id("org", moment), name="new", plan_code="FREE", created_at=moment)
    foreign = UsageCounter(org_id=globex.org_id, period=date(2026, 9, 1), used=0, reserved=0)
    with pytest.raises(TenancyError), transaction(acme.org_id) as session:
        session.add_all([fine, foreign])


@pytest.mark.parametrize("part", ["org_id", "mode"])
def test_rows_that_are_there_keep_their_organization_and_mode(acme: Account, part: str) -> None:
    """Only new rows are stamped: one that loses its owner is a defect, not somebody's."""
    with transaction(acme.org_id, "live") as session:
        session.add(preset())
    with pytest.raises(TenancyError), transaction(acme.org_id, "live") as session:
        setattr(session.scalars(select(ExportPreset)).one(), part, None)


@pytest.fixture
def entry(acme: Account) -> AuditEntry:
    with transaction(acme.org_id) as session:
        audit.record(session, TEST, "thing.changed", {"name": "a"}, {"name": "b"}, NOON)
    with transaction(acme.org_id) as session:
        return session.scalars(select(AuditEntry).where(AuditEntry.action == "thing.changed")).one()


def test_the_audit_log_is_append_only(acme: Account, entry: AuditEntry) -> None:
    mine = AuditEntry.id == entry.id
    for statement in (update(AuditEntry).where(mine).values(action="b"), delete(AuditEntry)):
        with pytest.raises(TenancyError), transaction(acme.org_id) as session:
            session.change(statement)
        with pytest.raises(TenancyError), transaction() as session, unscoped(session, "a test"):
            session.change(statement.where(mine))
    with pytest.raises(TenancyError), transaction(acme.org_id) as session:
        session.scalars(select(AuditEntry).where(mine)).one().action = "b"
    with pytest.raises(TenancyError), transaction(acme.org_id) as session:
        session.delete(session.scalars(select(AuditEntry).where(mine)).one())
    with transaction(acme.org_id) as session:
        assert session.scalars(select(AuditEntry.action).where(mine)).all() == ["thing.changed"]


def test_only_the_deletion_of_an_organization_deletes_audit_entries(
    acme: Account, entry: AuditEntry
) -> None:
    with transaction(acme.org_id) as session, erasing(session):
        assert session.change(delete(AuditEntry).where(AuditEntry.id == entry.id)) == 1
    users = [path for path in SOURCES if "erasing" in names_in(path)]
    assert [str(path.relative_to(ROOT / "app")) for path in users] == [
        "services/deletion/rows.py",
        "services/staff_log.py",
        "tenancy.py",
    ]


def names_in(path: Path) -> set[str]:
    tree = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in tree if isinstance(node, ast.alias | ast.FunctionDef)}
