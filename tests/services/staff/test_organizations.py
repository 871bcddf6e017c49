"""The list of organizations: the right ones, in the right order, each exactly once, whichever way
they are read."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from app.extensions import transaction
from app.models import FREE, Organization, StorageCounter, UsageCounter
from app.services.staff import organization_query
from app.services.staff.organization_filter import Sort, State, Wanted
from app.services.staff.organizations import Row, all_rows, page_of
from app.tenancy import unscoped
from tests.clock import NOON
from tests.databases import on_both_databases

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]
DAY = timedelta(days=1)
THIS_MONTH, LAST_MONTH = date(2026, 11, 1), date(2026, 10, 1)
MOMENTS = st.sampled_from([NOON - DAY, NOON, NOON + DAY])
MAYBE = st.none() | MOMENTS
PLANS = st.sampled_from(["FREE", "TEAM", "BUSINESS"])
ORGANIZATIONS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["", "a", "A", "b", "ß", "Ä", "😀", "a\U0010ffff", "東京"]),
            "plan_code": PLANS,
            "granted_plan_code": st.none() | PLANS,
            "granted_until": MAYBE,
            "paid_plan_code": st.none() | PLANS,
            "plan_lapses_at": MAYBE,
            "suspended_at": MAYBE,
            "delete_at": MAYBE,
            "confirm_by": MAYBE,
            "deleted_at": st.none() | st.none() | MOMENTS,
            "flag": st.none() | st.just("look"),
            "last_seen_at": MAYBE,
            "used": st.none() | st.integers(0, 3),
            "used_before": st.none() | st.integers(0, 3),
            "stored": st.none() | st.integers(0, 3),
        }
    ),
    max_size=12,
)
WANTED = st.builds(
    Wanted,
    plan=st.just("") | PLANS,
    state=st.none() | st.sampled_from(State),
    flagged=st.booleans(),
    text=st.sampled_from(["", "a", "ss", "東", "zz"]),
    sort=st.sampled_from(Sort),
)
Made = list[dict[str, Any]]


def add(marker: str, made: Made) -> None:
    """Organizations whose names begin with the marker."""
    with transaction() as session, unscoped(session, "a test"):
        for number, fields in enumerate(made):
            own = {**fields, "id": f"org_{marker}{number:03}", "name": marker + fields["name"]}
            used, before, stored = (own.pop(name) for name in ("used", "used_before", "stored"))
            session.add(Organization(slug=None, created_at=NOON, metered=False, **own))
            counted = {THIS_MONTH: used, LAST_MONTH: before}
            session.flush()
            for period, images in counted.items():
                if images is not None:
                    month = {"org_id": own["id"], "period": period}
                    session.add(UsageCounter(used=images, reserved=0, **month))
            if stored is not None:
                session.add(StorageCounter(org_id=own["id"], bytes=stored))


def plan_of(fields: dict[str, Any]) -> str:
    lapsed, ended = (
        fields[name] is not None and fields[name] <= NOON
        for name in ("plan_lapses_at", "granted_until")
    )
    if lapsed:
        return FREE if ended else fields["granted_plan_code"] or FREE
    return (fields["paid_plan_code"] or FREE) if ended else fields["plan_code"]


def matches(fields: dict[str, Any], wanted: Wanted, marker: str) -> bool:
    """What the filter means, in plain words."""
    signs = {
        State.DELETING: fields["delete_at"], State.SUSPENDED: fields["suspended_at"],
        State.OVERDUE: fields["plan_lapses_at"], State.UNCONFIRMED: fields["confirm_by"],
    }  # fmt: skip
    if (wanted.state is State.DELETED) != (fields["deleted_at"] is not None):
        return False
    if wanted.state is State.ACTIVE and any(signs.values()):
        return False
    return (
        (wanted.state not in signs or signs[wanted.state] is not None)
        and (not wanted.flagged or fields["flag"] is not None)
        and wanted.plan in ("", plan_of(fields))
        and (marker + fields["name"]).casefold().startswith(wanted.text)
    )


def expected(made: Made, wanted: Wanted, marker: str) -> list[str]:
    """The ids in their order: a value of zero is none, and who has none comes last."""
    names = {Sort.NAME: "name", Sort.USAGE: "used", Sort.STORAGE: "stored"}

    def value(fields: dict[str, Any]) -> Any:
        if wanted.sort is Sort.NAME:
            return (marker + fields["name"]).casefold()
        name = names.get(wanted.sort, "last_seen_at")
        return fields[name] if wanted.sort is not Sort.NEWEST and fields[name] else None

    found = [
        (value(fields), f"org_{marker}{number:03}")
        for number, fields in enumerate(made)
        if matches(fields, wanted, marker)
    ]
    descending = wanted.sort is not Sort.NAME
    with_value = sorted((one for one in found if one[0] is not None), reverse=descending)
    without = sorted((one[1] for one in found if one[0] is None), reverse=descending)
    return [org_id for _, org_id in with_value] + without


def pages(wanted: Wanted, size: int) -> Iterator[list[Row]]:
    cursor: str | None = ""
    while cursor is not None:
        with transaction() as session, unscoped(session, "a test"):
            page = page_of(session, wanted, NOON, wanted.place(cursor), size)
        assert len(page.rows) <= size
        yield page.rows
        cursor = page.next


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    made=ORGANIZATIONS,
    choices=st.lists(st.tuples(WANTED, st.integers(1, 7)), min_size=4, max_size=4),
)
def test_pages_hold_what_is_wanted_once_and_in_order(
    monkeypatch: pytest.MonkeyPatch, made: Made, choices: list[tuple[Wanted, int]]
) -> None:
    """Against plain Python: sorted at once, and walked through an index."""
    marker = uuid4().hex[:16]
    add(marker, made)
    try:
        for chosen, size in choices:
            wanted = Wanted(
                chosen.plan, chosen.state, chosen.flagged, marker + chosen.text, chosen.sort
            )
            ids = expected(made, wanted, marker)
            for few in (-1, 5000):
                monkeypatch.setattr(organization_query, "FEW", few)
                rows = [row for page in pages(wanted, size) for row in page]
                assert [row.organization.id for row in rows] == ids, (wanted, few)
            for row in rows:
                fields = made[int(row.organization.id[-3:])]
                figures = (row.plan, row.used, row.stored)
                assert figures == (plan_of(fields), fields["used"] or 0, fields["stored"] or 0)
    finally:
        with transaction() as session:
            session.change(delete(Organization).where(Organization.folded_name.like(f"{marker}%")))


def test_organizations_without_a_name_come_last_and_a_file_holds_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    marker = uuid4().hex[:16]
    nothing = dict.fromkeys(("used", "used_before", "stored"))
    add(marker, [{"name": name, "plan_code": "TEAM", "flag": marker, **nothing} for name in "ba"])
    add(
        f"{marker}x",
        [{"name": "c", "plan_code": "TEAM", "flag": marker, **nothing}],
    )
    with transaction() as session:
        nameless = session.get_one(Organization, f"org_{marker}x000")
        nameless.folded_name = None
    for few in (-1, 5000):
        monkeypatch.setattr(organization_query, "FEW", few)
        monkeypatch.setattr("app.services.staff.organizations.BATCH_SIZE", 2)
        rows = all_rows(Wanted(plan="TEAM", flagged=True, sort=Sort.NAME), NOON)
        own = [row.organization.id for row in rows if row.organization.flag == marker]
        assert own == [f"org_{marker}001", f"org_{marker}000", f"org_{marker}x000"]


def test_what_a_query_does_not_say_well_is_left_out() -> None:
    odd = {"state": "sleeping", "sort": "luck", "flagged": "yes", "q": " ÄRGER\0 ", "plan": "T\0"}
    assert Wanted.read(odd) == Wanted(plan="T", text="ärger")
    assert Wanted.read({"q": "x" * 10_000}).text == "x" * 120
    assert Wanted.read({"state": "overdue", "sort": "seen", "flagged": "1"}) == Wanted(
        state=State.OVERDUE, flagged=True, sort=Sort.SEEN
    )
