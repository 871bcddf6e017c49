"""Staff look at an organization's pages and change nothing."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, insert, select, update

from app import read_only
from app.errors import ViewOnly
from app.extensions import db, transaction
from app.models import (
    Actor,
    ActorKind,
    AuditEntry,
    DataExport,
    DataExportStatus,
    Membership,
    Mode,
    Organization,
    Role,
    SignIn,
    StaffRole,
    User,
    new_id,
)
from app.services.accounts import activity
from app.services.accounts.activity import Activity
from app.tenancy import TenantSession, insert_if_absent
from app.web.requirements import Member
from tests.admin.conftest import StaffMaker
from tests.architecture.test_pages import SAMPLES, call, pages, path_of
from tests.client import ApiClient
from tests.clock import NOON, Clock
from tests.conftest import Account
from tests.conftest import SignIn as Signer
from tests.databases import on_both_databases
from tests.staff import REASON, act, log_of


def view(staff: ApiClient, account: Account) -> None:
    answer = act(staff, f"/admin/organizations/{account.org_id}/view")
    assert (answer.status_code, answer.location) == (303, account.home)


def audit_of(app: Flask, account: Account, action: str) -> list[AuditEntry]:
    with app.app_context(), transaction(account.org_id) as session:
        return list(session.scalars(select(AuditEntry).where(AuditEntry.action == action)))


@on_both_databases
def test_both_logs_tell_of_it_before_the_first_page(
    app: Flask, staff: ApiClient, acme: Account
) -> None:
    assert staff.get(acme.home).status_code == 404
    view(staff, acme)
    (entry,) = log_of(app, staff)
    assert (entry.action, entry.org_id, entry.reason) == (
        "organization.viewed",
        acme.org_id,
        REASON,
    )
    (theirs,) = audit_of(app, acme, "organization.viewed")
    assert (theirs.actor_kind, theirs.actor_id) == ("staff", staff.user_id)
    assert theirs.after["until"] == entry.after["until"]
    assert "Organization viewed" in staff.get(f"{acme.home}/activity").text


def test_without_a_reason_nothing_is_viewed(app: Flask, staff: ApiClient, acme: Account) -> None:
    assert act(staff, f"/admin/organizations/{acme.org_id}/view", reason="").status_code == 400
    assert staff.get(acme.home).status_code == 404
    assert log_of(app, staff) == []
    assert audit_of(app, acme, "organization.viewed") == []


def test_what_is_not_there_can_not_be_viewed(app: Flask, staff: ApiClient) -> None:
    assert act(staff, "/admin/organizations/org_never_was/view").status_code == 404
    assert log_of(app, staff) == []


def test_the_bar_names_the_organization_and_the_minutes(
    staff: ApiClient, acme: Account, globex: Account, clock: Clock
) -> None:
    view(staff, acme)
    for mode in ("", "?mode=test"):
        page = staff.get(f"{acme.home}/library{mode}")
        assert page.status_code == 200
        assert "30 minutes left" in page.text
    clock.advance(minutes=29)
    assert "1 minute left" in staff.get(acme.home).text
    assert staff.get(globex.home).status_code == 404
    clock.advance(minutes=1)
    assert staff.get(acme.home).status_code == 404


def test_leaving_ends_it(app: Flask, staff: ApiClient, acme: Account) -> None:
    view(staff, acme)
    answer = act(staff, "/admin/viewing/end")
    assert (answer.status_code, answer.location) == (303, f"/admin/organizations/{acme.org_id}")
    assert staff.get(acme.home).status_code == 404
    assert [entry.action for entry in log_of(app, staff)][-1] == "organization.left"


def test_it_ends_with_the_role_and_with_the_second_factor(
    app: Flask, make_staff: StaffMaker, acme: Account
) -> None:
    for change, own in (
        (update(User).values(staff_role=None), User.id),
        (update(SignIn).values(second_factor_at=None), SignIn.user_id),
    ):
        person = make_staff(StaffRole.SUPPORT)
        view(person, acme)
        assert person.get(acme.home).status_code == 200
        with app.app_context(), transaction() as session:
            session.change(change.where(own == person.user_id))
        assert person.get(acme.home).status_code == 404


def test_a_session_of_the_same_person_elsewhere_does_not_view(
    app: Flask, staff: ApiClient, acme: Account, globex: Account, sign_in: Signer
) -> None:
    """Nor does anybody who is not staff, whatever their session says."""
    outsider = sign_in(globex, Role.OWNER, second_factor=True)
    until = {"viewing_org_id": acme.org_id, "viewing_until": NOON.replace(year=2030)}
    with app.app_context(), transaction() as session:
        session.change(update(SignIn).where(SignIn.user_id == outsider.user_id).values(until))
    assert outsider.get(acme.home).status_code == 404


def test_staff_who_are_members_stay_members(
    app: Flask, staff: ApiClient, acme: Account, clock: Clock
) -> None:
    view(staff, acme)
    joined = {"org_id": acme.org_id, "user_id": staff.user_id, "created_at": clock()}
    with app.app_context(), transaction() as session:
        session.add(Membership(role=Role.MEMBER, **joined))
    assert "viewing-bar" not in staff.get(acme.home).text
    answer = call(staff, "POST", f"{acme.home}/steps/dismiss")
    assert answer.status_code == 303
    # Others are viewed as before, without being remembered as the last organization.
    with app.app_context(), transaction() as session:
        last = session.scalar(select(User.last_org_id).where(User.id == staff.user_id))
    assert last == acme.org_id


@on_both_databases
def test_what_would_change_something_is_refused(
    app: Flask, staff: ApiClient, acme: Account
) -> None:
    view(staff, acme)
    refused = call(staff, "POST", f"{acme.home}/settings/name")
    assert refused.status_code == 403
    assert "You look at these pages as staff" in refused.text
    again = staff.post(
        f"{acme.home}/settings/name",
        headers={"Sec-Fetch-Site": "same-origin", "Accept": "application/json"},
    )
    assert again.json["code"] == "view_only"


Change = Callable[[TenantSession, str], object]
CHANGES: dict[str, Change] = {
    "flush": lambda session, _: session.add(Organization(id="x", name="x", created_at=NOON)),
    "dirty": lambda session, org_id: setattr(session.get_one(Organization, org_id), "name", "x"),
    "delete": lambda session, org_id: session.delete(session.get_one(Organization, org_id)),
    "update": lambda session, _: session.change(update(Organization).values(name="x")),
    "delete rows": lambda session, _: session.change(delete(Organization)),
    "insert": lambda session, _: session.execute(
        insert(Organization).values(id="x", name="x", created_at=NOON)
    ),
    "insert if absent": lambda session, _: insert_if_absent(
        session, Organization, id="x", name="x", slug="x", plan_code="FREE", created_at=NOON
    ),
    "past the session": lambda session, _: session.connection().execute(
        update(Organization).values(name="x")
    ),
    "in words": lambda session, _: session.connection().exec_driver_sql(
        "UPDATE organizations SET name = 'x'"
    ),
}


@on_both_databases
@pytest.mark.parametrize("way", CHANGES)
@pytest.mark.usefixtures("context")
def test_no_way_leads_to_a_change(app: Flask, acme: Account, way: str) -> None:
    """The session refuses, and the database whatever goes past it. The same connection writes
    again afterwards."""
    read_only.begin()
    try:
        with (
            pytest.raises(Exception, match=r"change nothing|read-?only") as refusal,
            transaction() as session,
        ):
            CHANGES[way](session, acme.org_id)
    finally:
        read_only.end()
    if way not in ("insert if absent", "past the session", "in words"):
        assert isinstance(refusal.value, ViewOnly)
    with transaction() as session:
        assert session.get_one(Organization, acme.org_id).name != "x"
        own = update(Organization).where(Organization.id == acme.org_id)
        assert session.change(own.values(name="Another")) == 1


def test_an_answer_that_is_streamed_is_read_only_to_its_end_and_the_next_is_not(
    app: Flask, staff: ApiClient, acme: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All in one thread, with one connection of the pool."""
    view(staff, acme)
    states, all_pages = [], activity.all_pages

    def watched(*arguments: Any) -> Iterator[Activity]:
        states.append(read_only.is_on())
        yield from all_pages(*arguments)
        states.append(read_only.is_on())

    monkeypatch.setattr(activity, "all_pages", watched)
    assert staff.get(f"{acme.home}/activity.csv").status_code == 200
    assert states == [True, True]
    with app.app_context(), transaction() as session:
        assert session.change(update(User).values(name=User.name)) > 0
    assert act(staff, "/admin/viewing/end").status_code == 303


def test_requests_in_one_context_are_told_apart(
    app: Flask, staff: ApiClient, acme: Account
) -> None:
    view(staff, acme)
    with app.app_context():
        assert staff.get(acme.home).status_code == 200
        assert act(staff, "/admin/viewing/end").status_code == 303


def test_a_data_export_is_not_fetched(app: Flask, staff: ApiClient, acme: Account) -> None:
    """To fetch one is recorded, which takes a change; the page says it plainly."""
    with app.app_context(), transaction(acme.org_id) as session:
        session.add(
            DataExport(
                id=new_id("dataexport", NOON),
                actor=Actor(ActorKind.USER, "user_1"),
                status=DataExportStatus.DONE,
                storage_key="data-exports/x.zip",
                created_at=NOON,
                expires_at=NOON + timedelta(days=1),
            )
        )
    view(staff, acme)
    refused = staff.get(f"{acme.home}/settings/data-export/zip")
    assert refused.status_code == 403
    assert "You look at these pages as staff" in refused.text


# ── every route ───────────────────────────────────────────────────────────────────────────────────


def dump(app: Flask) -> dict[str, list[str]]:
    """All rows of all tables, but for when a session was last used."""
    with app.app_context(), db.engine.connect() as connection:
        return {
            table.name: sorted(
                repr(row)
                for row in connection.execute(
                    select(
                        *(column for column in table.c if str(column) != "sign_ins.last_seen_at")
                    )
                )
            )
            for table in db.metadata.sorted_tables
        }


@pytest.mark.slow
@on_both_databases
def test_no_route_changes_anything(app: Flask, staff: ApiClient, acme: Account) -> None:
    """Every page of the dashboard, by each of its methods, in both modes."""
    made = {
        (rule.endpoint, mode): SAMPLES[rule.endpoint](app, acme, mode)
        for rule, _ in pages(app, Member)
        for mode in Mode
        if rule.endpoint in SAMPLES
    }
    view(staff, acme)
    before, seen = dump(app), 0
    for rule, method in pages(app, Member):
        for mode in Mode:
            ids = made.get((rule.endpoint, mode), {})
            path = path_of(app, rule, slug=acme.slug, **ids) + f"?mode={mode}"
            answer = call(staff, method, path)
            if method == "GET":
                assert answer.status_code in (200, 286, 303, 404), f"{rule} {answer.status_code}"
            else:
                assert answer.status_code == 403, f"{method} {rule}"
                assert "You look at these pages as staff" in answer.text
            seen += 1
        if method == "GET":
            assert dump(app) == before, f"{method} {rule}"
    assert dump(app) == before
    assert seen > 150
