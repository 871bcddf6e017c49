"""``/dashboard`` and making an organization; an organization's former paths."""

import pytest
from flask import Flask
from sqlalchemy import select

from app.errors import BadRequest, Conflict
from app.extensions import transaction
from app.models import AuditEntry, Membership, Organization, Role
from app.services.accounts import organizations
from tests.client import ApiClient
from tests.clock import Clock
from tests.conftest import Account, SignIn
from tests.databases import on_both_databases
from tests.forms import post
from tests.team import audited, principal_of


def rename(
    app: Flask, account: Account, client: ApiClient, clock: Clock, name: str, slug: str
) -> None:
    """As the settings page does."""
    principal = principal_of(app, account, client.user_id)
    with app.app_context(), transaction(account.org_id) as session:
        organizations.rename(session, principal, name, slug, clock())


def leads_to(client: ApiClient, path: str = "/dashboard") -> str:
    answer = client.get(path)
    assert answer.status_code == 303
    return answer.headers["Location"]


def owned(app: Flask, client: ApiClient) -> list[str]:
    with app.app_context(), transaction() as session:
        named = (
            select(Organization.name)
            .join(Membership, Membership.org_id == Organization.id)
            .where(Membership.user_id == client.user_id)
            .order_by(Organization.id)
        )
        return list(session.scalars(named))


@pytest.fixture
def owner(acme: Account, sign_in: SignIn) -> ApiClient:
    return sign_in(acme, Role.OWNER)


@on_both_databases
def test_the_dashboard_leads_to_the_organization_last_used(
    app: Flask, acme: Account, owner: ApiClient, clock: Clock
) -> None:
    assert leads_to(owner) == acme.home
    new = post(owner, "/dashboard/new", name="Second").headers["Location"]
    assert leads_to(owner) == acme.home
    owner.get(f"{new}/team")
    assert leads_to(owner) == new
    post(owner, f"{acme.home}/team/leave")
    assert leads_to(owner) == new


def test_who_has_none_is_led_to_making_one(acme: Account, sign_in: SignIn) -> None:
    viewer = sign_in(acme, Role.VIEWER)
    post(viewer, f"{acme.home}/team/leave")
    sign_in(acme, Role.VIEWER)
    assert leads_to(viewer) == "/dashboard/new"
    assert "Create organization" in viewer.get("/dashboard/new").text


@on_both_databases
def test_a_person_makes_an_organization_and_owns_it(app: Flask, owner: ApiClient) -> None:
    answer = post(owner, "/dashboard/new", name="  Nordlicht   Studio ", role="x", slug="x")
    assert answer.status_code == 303
    home = answer.headers["Location"]
    assert home.startswith("/dashboard/nordlicht-studio")
    assert owned(app, owner)[-1] == "Nordlicht Studio"
    assert "Send invitation" in owner.get(f"{home}/team").text
    with app.app_context(), transaction() as session:
        slug = home.rpartition("/")[2]
        org_id = session.scalars(select(Organization.id).where(Organization.slug == slug)).one()
    with app.app_context(), transaction(org_id) as session:
        assert session.scalars(select(AuditEntry.action)).all() == ["organization.created"]


def test_a_form_that_is_sent_twice_makes_one(app: Flask, owner: ApiClient, clock: Clock) -> None:
    first, second = (post(owner, "/dashboard/new", name="Twice") for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    clock.advance(minutes=2)
    third = post(owner, "/dashboard/new", name="Twice")
    assert third.headers["Location"] != first.headers["Location"]
    assert owned(app, owner).count("Twice") == 2


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\x00b", "a\x1bb"])
def test_names_that_are_refused_stand_at_the_field(app: Flask, owner: ApiClient, name: str) -> None:
    before = owned(app, owner)
    answer = post(owner, "/dashboard/new", name=name)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert owned(app, owner) == before


@pytest.mark.parametrize("name", ["x" * 100, "中文", "👩‍👩‍👧", "<b>", "new", "ﺷﺮﻛﺔ"])
def test_names_of_all_kinds_are_taken(app: Flask, owner: ApiClient, name: str) -> None:
    answer = post(owner, "/dashboard/new", name=name)
    assert answer.status_code == 303
    assert owner.get(answer.headers["Location"] + "/team").status_code == 200
    assert owned(app, owner)[-1] == name


def test_one_person_owns_twenty_at_most(app: Flask, acme: Account, sign_in: SignIn) -> None:
    person = sign_in(acme, Role.ADMIN)  # which is not to own it
    for number in range(20):
        assert post(person, "/dashboard/new", name=f"Number {number}").status_code == 303
    answer = post(person, "/dashboard/new", name="One more")
    assert answer.status_code == 409
    assert "step down" in answer.text
    assert len(owned(app, person)) == 21


@on_both_databases
def test_a_former_path_leads_on_for_members_only(
    app: Flask, acme: Account, globex: Account, owner: ApiClient, sign_in: SignIn, clock: Clock
) -> None:
    slug = f"new-{acme.slug[-12:]}"
    rename(app, acme, owner, clock, "New name", slug)
    answer = owner.get(f"{acme.home}/team?page=1&q=a%26b")
    assert answer.status_code == 308
    assert answer.headers["Location"] == f"/dashboard/{slug}/team?page=1&q=a%26b"
    assert "no-store" in answer.headers["Cache-Control"], "it may become the present one again"
    assert "New name" in owner.get(f"/dashboard/{slug}/team").text
    assert post(owner, f"{acme.home}/team/invitations", role="x").status_code == 400
    for path in (acme.home, f"/dashboard/{slug}"):
        assert sign_in(globex, Role.OWNER).get(f"{path}/team").status_code == 404
    changed = {"name": "New name", "slug": slug}
    assert ("organization.renamed", changed) in audited(app, acme)


def test_a_former_path_is_nobody_else_s(
    app: Flask, acme: Account, globex: Account, owner: ApiClient, sign_in: SignIn, clock: Clock
) -> None:
    slug = f"new-{acme.slug[-12:]}"
    rename(app, acme, owner, clock, "Acme", slug)
    theirs = sign_in(globex, Role.OWNER)
    for taken in (acme.slug, slug, "new"):
        with pytest.raises(Conflict, match="taken"):
            rename(app, globex, theirs, clock, "Globex", taken)
    rename(app, acme, owner, clock, "Acme", acme.slug)
    assert owner.get(f"{acme.home}/team").status_code == 200
    assert owner.get(f"/dashboard/{slug}/team").headers["Location"] == f"{acme.home}/team"


@pytest.mark.parametrize(
    ("name", "slug", "field"),
    [("", "fine", "name"), ("Fine", "", "slug"), ("Fine", "a/b", "slug"), ("Fine", "-a", "slug"),
     ("Fine", "x" * 49, "slug"), ("Fine", "ö", "slug")],
)  # fmt: skip
def test_a_refused_change_names_the_field(
    app: Flask, acme: Account, owner: ApiClient, clock: Clock, name: str, slug: str, field: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        rename(app, acme, owner, clock, name, slug)
    assert [problem.partition(":")[0] for problem in refused.value.errors] == [field]


def test_an_organization_hoards_no_paths(
    app: Flask, acme: Account, owner: ApiClient, clock: Clock
) -> None:
    for number in range(10):
        rename(app, acme, owner, clock, "Acme", f"a{number}-{acme.slug[-12:]}")
    with pytest.raises(Conflict, match="Go back to one"):
        rename(app, acme, owner, clock, "Acme", f"one-more-{acme.slug[-12:]}")
    rename(app, acme, owner, clock, "Acme", acme.slug)
