"""What stands around the dashboard's pages: navigation, organization switcher, usage."""

from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, request
from werkzeug.exceptions import HTTPException

from app.extensions import transaction
from app.models import Mode
from app.services.accounts import memberships
from app.services.accounts.memberships import Belonging
from app.services.accounts.permissions import Action
from app.services.accounts.sign_ins import Person
from app.services.billing import standing
from app.services.billing.notices import Notice, notices_of
from app.services.usage import limits
from app.web.context import now, principal
from app.web.pages import page
from app.web.requirements import Member
from app.web.sessions import person

ORGANIZATION_PAGES = {
    "": (
        ("Overview", "layout-dashboard", ""),
        ("Usage", "chart-column", "/usage"),
        ("Playground", "sparkles", "/playground"),
        ("Library", "images", "/library"),
        ("Presets", "sliders-horizontal", "/presets"),
        ("Exports", "package", "/exports"),
    ),
    "Build": (("API keys", "key-round", "/keys"), ("Documentation", "book-open", "/docs")),
    "Organization": (
        ("Team", "users", "/team"),
        ("Billing", "credit-card", "/billing"),
        ("Settings", "settings", "/settings"),
        ("Audit log", "scroll-text", "/activity"),
    ),
}
"""Group → pages as text, icon and path below ``/dashboard/<slug>``; ``/docs`` is the site's own."""
PERSONAL_PAGES = (
    ("Profile", "circle-user", "/account"),
    ("Security", "shield", "/account/security"),
    ("Sessions", "monitor", "/account/sessions"),
)
DOCS = "/docs"


@dataclass(frozen=True)
class Entry:
    text: str
    icon: str
    href: str
    is_current: bool


@dataclass(frozen=True)
class Group:
    title: str
    entries: list[Entry]


@dataclass(frozen=True)
class AccountFrame:
    """What ``dashboard/account_layout.html`` shows."""

    person: Person
    navigation: list[Group]


@dataclass(frozen=True)
class Frame:
    """What ``dashboard/layout.html`` shows. ``used`` and ``limit`` count the month's live images;
    ``limit`` is None without a limit. ``notices`` are about payments. ``may_delete`` is whether the
    person may take a deletion back."""

    person: Person
    organization: Belonging
    organizations: list[Belonging]
    plan: str
    navigation: list[Group]
    used: int
    limit: int | None
    resets: str
    notices: list[Notice]
    may_pay: bool
    may_delete: bool = False


def page_of(template: str, **values: Any) -> Response:
    """Render a page of the organization in the path, in its frame."""
    return page(template, frame=_frame(), **values)


def account_page(template: str, **values: Any) -> Response:
    """Render a page of the signed-in person."""
    entries = [Entry(text, icon, path, request.path == path) for text, icon, path in PERSONAL_PAGES]
    return page(template, frame=AccountFrame(person(), [Group("", entries)]), **values)


def _frame() -> Frame:
    who = principal()
    with transaction(*who.partition) as session:
        organizations = memberships.organizations_of(session, person().user_id)
        month = limits.summarise(session, who, now())
        place = standing.read(session)
    organization = next(one for one in organizations if one.id == who.org_id)
    return Frame(
        person=person(),
        organization=organization,
        organizations=organizations,
        plan=month.plan,
        navigation=_navigation(f"/dashboard/{organization.slug}"),
        used=month.used,
        limit=month.limit,
        resets=f"{month.reset_date.day} {month.reset_date:%b}",
        notices=notices_of(place.organization, place.account, now()),
        may_pay=who.may(Action.MANAGE_BILLING),
        may_delete=who.may(Action.DELETE),
    )


def _navigation(home: str) -> list[Group]:
    """The pages that are there and that the person's role may see."""
    query = "?mode=test" if principal().mode is Mode.TEST else ""
    groups = []
    for title, pages in ORGANIZATION_PAGES.items():
        entries = [
            Entry(text, icon, path, is_current=False)
            if path == DOCS
            else Entry(text, icon, f"{home}{path}{query}", _is_current(home, path))
            for text, icon, path in pages
            if path == DOCS or _may_open(f"{home}{path}")
        ]
        groups.append(Group(title, entries))
    return groups


def _is_current(home: str, path: str) -> bool:
    below = request.path.removeprefix(home)
    return below == path or (path != "" and below.startswith(f"{path}/"))


def _may_open(path: str) -> bool:
    """Whether the view of the path lets the person in."""
    try:
        endpoint, _ = current_app.create_url_adapter(request).match(path, method="GET")  # type: ignore[union-attr]  # there is a request
    except HTTPException:
        return False
    requirement = getattr(current_app.view_functions[endpoint], "requirement", None)
    return isinstance(requirement, Member) and principal().may(requirement.action)
