"""Whatever a page links to is there, and open to the role that sees the link."""

import secrets
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask
from sqlalchemy import delete
from werkzeug.exceptions import HTTPException

from app.extensions import transaction
from app.imaging import Transform
from app.models import ApiKey, Mode, Role, new_id
from app.services.accounts.permissions import may
from app.services.exports import presets
from app.services.library import trash
from app.services.library.publishing import TOKEN_BYTES
from app.web.requirements import Member
from tests.actors import A_KEY
from tests.client import ApiClient
from tests.clock import NOON
from tests.conftest import Account, KeyMaker, SignIn
from tests.exports import add_export
from tests.library import make_collection
from tests.people import visitor_of
from tests.pictures import add_picture
from tests.team import add_invitation, add_member

pytestmark = pytest.mark.slow

SITE = "http://localhost"
MOST = 400
"""More pages than that are no site for a test, but links that make links."""


class Links(HTMLParser):
    """The addresses in a page: those that are followed, and those that its forms send to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.followed: set[str] = set()
        self.sent: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "a" and (href := found.get("href")):
            self.followed.add(href)
        if tag == "form" and found.get("method") == "post":
            self.sent.add(found.get("action") or "")


def inside(page: str, addresses: set[str]) -> Iterator[str]:
    """The addresses that are this site's own, whole and without their anchors."""
    for address in sorted(addresses):
        whole = urljoin(SITE + page, address).partition("#")[0]
        if whole.startswith(f"{SITE}/"):
            yield whole.removeprefix(SITE)


def crawl(client: ApiClient, *first: str) -> tuple[list[str], set[str]]:
    """Follow all links. Returns what is wrong, and where the forms send to."""
    waiting, seen, forms, problems = list(first), set(first), set[str](), list[str]()
    while waiting:
        page = waiting.pop()
        answer = client.get(page)
        if answer.status_code not in (200, 302, 303):
            problems.append(f"{answer.status_code} {page}")
        links = Links(answer.text if answer.mimetype == "text/html" else "")
        if location := answer.headers.get("Location"):
            links.followed.add(location)
        forms.update(inside(page, links.sent))
        found = set(inside(page, links.followed)) - seen
        seen |= found
        waiting += found
        assert len(seen) < MOST
    return problems, forms


def misled(app: Flask, forms: set[str], role: Role | None) -> list[str]:
    """The forms that a page shows though nothing takes them, or not from this role."""
    paths, found = app.url_map.bind("localhost"), list[str]()
    for form in sorted(forms):
        try:
            endpoint, _ = paths.match(urlsplit(form).path, "POST")
        except HTTPException as refusal:
            found.append(f"{refusal.code} POST {form}")
            continue
        requirement = getattr(app.view_functions[endpoint], "requirement", None)
        if isinstance(requirement, Member) and not (role and may(role, requirement.action)):
            found.append(f"403 POST {form}")
    return found


def fill_library(app: Flask, account: Account) -> None:
    """A picture in a collection, a published one, one in the trash; a preset, an export."""
    collection = make_collection(new_id("col", NOON))
    with app.app_context(), transaction(account.org_id, Mode.LIVE) as session:
        session.add(collection)
        presets.save(session, "hero", Transform(), NOON)
    add_picture(app, account, tags=["sea"], collection_id=collection.id)
    add_picture(app, account, public_token=secrets.token_urlsafe(TOKEN_BYTES))
    add_export(app, account)
    gone = add_picture(app, account)
    with app.app_context(), transaction(account.org_id, Mode.LIVE) as session:
        trash.put(session, A_KEY, [gone], NOON)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("is_new", [True, False])
def test_what_members_are_offered_is_there(
    app: Flask, acme: Account, make_key: KeyMaker, sign_in: SignIn, role: Role, is_new: bool
) -> None:
    if is_new:
        with app.app_context(), transaction() as session:
            session.execute(delete(ApiKey).where(ApiKey.org_id == acme.org_id))
    else:
        add_member(app, acme, Role.ADMIN, "Ada Byron")
        add_invitation(app, acme)
        make_key(acme)
        fill_library(app, acme)
    problems, forms = crawl(sign_in(acme, role), acme.home, "/account")
    assert not problems + misled(app, forms, role)


def test_what_visitors_are_offered_is_there(app: Flask) -> None:
    problems, forms = crawl(visitor_of(app), "/", "/login")
    assert not problems + misled(app, forms, None)
