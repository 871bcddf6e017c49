"""What stands around the pages of an organization: who sees which links, and the month's usage."""

import re

import pytest
from flask import Flask

from app.dashboard.frame import ORGANIZATION_PAGES
from app.extensions import transaction
from app.models import Organization, Role
from app.services.accounts import identity
from tests.client import ApiClient
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, SignIn
from tests.databases import statements
from tests.images import encoded

DOCS = "/docs"


def paths(app: Flask, slug: str) -> list[str]:
    """The pages of the organization that the sidebar may name."""
    address = app.url_map.bind("localhost")
    endpoints = [endpoint for pages in ORGANIZATION_PAGES.values() for _, _, endpoint in pages]
    built = [address.build(endpoint, {"slug": slug}) for endpoint in endpoints]
    return [path for path in built if path.startswith("/dashboard/")]


def links(client: ApiClient, path: str) -> set[str]:
    """The links of the sidebar."""
    page = client.get(path).text
    sidebar = re.search(r'<nav aria-label="Dashboard">(.*?)</nav>', page, re.DOTALL)
    assert sidebar
    return set(re.findall(r'<a href="([^"]+)"', sidebar[1])) - {DOCS}


@pytest.mark.parametrize("role", Role)
def test_the_sidebar_links_to_what_the_role_may_see(
    app: Flask, acme: Account, sign_in: SignIn, role: Role
) -> None:
    member, home = sign_in(acme, role), f"/dashboard/{acme.slug}"
    opened = {path for path in paths(app, acme.slug) if member.get(path).status_code in (200, 302)}
    assert f"{home}/team" in opened
    assert links(member, f"{home}/team") == opened


def test_the_page_that_is_open_is_marked(acme: Account, sign_in: SignIn) -> None:
    home = f"/dashboard/{acme.slug}"
    page = sign_in(acme).get(f"{home}/team").text
    assert re.findall(r'href="([^"]+)" aria-current="page"', page) == [f"{home}/team"]


def test_the_mode_stays_when_one_goes_on(acme: Account, sign_in: SignIn) -> None:
    found = links(sign_in(acme), f"/dashboard/{acme.slug}/team?mode=test")
    assert found
    assert all(link.endswith("?mode=test") for link in found)


def test_the_switcher_names_the_person_s_organizations_and_nobody_else_s(
    app: Flask, clock: Clock, acme: Account, globex: Account, sign_in: SignIn
) -> None:
    member = sign_in(acme)
    with app.app_context(), transaction() as session:
        mine = identity.create_organization(session, member.user_id, "Zoë & <b>Sons</b>", clock())
        slug = mine.slug
    page = member.get(f"/dashboard/{acme.slug}/team").text
    assert f'href="/dashboard/{slug}"' in page
    assert "Zoë &amp; &lt;b&gt;Sons&lt;/b&gt;" in page
    assert f'href="/dashboard/{acme.slug}" aria-current="true"' in page
    assert globex.slug not in page


def test_the_month_s_images_are_shown_with_the_day_they_begin_anew(
    client: ApiClient, make_account: AccountMaker, sign_in: SignIn
) -> None:
    team = make_account(plan="TEAM")
    client.compress(team.key, encoded(width=16, height=16), encoded(width=24, height=16))
    page = sign_in(team).get(f"/dashboard/{team.slug}/team").text
    assert re.search(r'<progress max="20000" value="2"', page)
    assert 'of 20,000</span></span><span class="quiet">resets 1 Dec</span>' in page
    assert "Team plan" in page


def test_a_plan_without_a_limit_has_no_bar(make_account: AccountMaker, sign_in: SignIn) -> None:
    page = sign_in(team := make_account(plan="ENTERPRISE")).get(f"/dashboard/{team.slug}/team").text
    assert "0, without limit" in page


def test_the_frame_takes_as_many_statements_for_one_organization_as_for_many(
    app: Flask, clock: Clock, acme: Account, sign_in: SignIn
) -> None:
    member = sign_in(acme)

    def count() -> int:
        with statements(app) as sent:
            assert member.get(f"/dashboard/{acme.slug}/team").status_code == 200
        return len(sent)

    count()  # remembers which organization was seen last
    before = count()
    with app.app_context(), transaction() as session:
        for number in range(20):
            identity.create_organization(session, member.user_id, f"Number {number}", clock())
    assert count() == before


def test_a_person_of_many_organizations_finds_them_by_name(
    app: Flask, clock: Clock, acme: Account, sign_in: SignIn
) -> None:
    member = sign_in(acme)
    with app.app_context(), transaction() as session:
        session.get_one(Organization, acme.org_id).name = "middle"
        for name in ("zenith", "anchor"):
            identity.create_organization(session, member.user_id, name, clock())
    page = member.get(f"/dashboard/{acme.slug}/team").text
    assert re.findall(r"<span>(anchor|middle|zenith)</span>", page)[:3] == [
        "anchor",
        "middle",
        "zenith",
    ]
