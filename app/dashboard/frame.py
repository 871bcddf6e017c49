"""What stands around the dashboard's pages: navigation, organization switcher, usage."""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any

from flask import Response, current_app, request, url_for

from app.extensions import transaction
from app.models import Role
from app.services.accounts import memberships
from app.services.accounts.memberships import Belonging
from app.services.accounts.permissions import Action
from app.services.accounts.sign_ins import Person
from app.services.billing import standing
from app.services.billing.notices import Notice, notices_of
from app.services.usage import limits
from app.web import announcing
from app.web.context import now, principal
from app.web.links import in_mode
from app.web.navigation import Entry, Group
from app.web.pages import page
from app.web.requirements import Member
from app.web.sessions import person

ORGANIZATION_PAGES = {
    "": (
        ("Overview", "layout-dashboard", "dashboard.overview.show"),
        ("Playground", "sparkles", "dashboard.playground.show"),
        ("Library", "images", "dashboard.library.index"),
        ("Presets", "sliders-horizontal", "dashboard.presets.index"),
        ("Exports", "package", "dashboard.exports.index"),
        ("Trash", "trash-2", "dashboard.trash.index"),
        ("Usage", "chart-column", "dashboard.usage.show"),
    ),
    "Build": (
        ("API keys", "key-round", "dashboard.keys.index"),
        ("Documentation", "book-open", "docs.pages.playground"),
    ),
    "Organization": (
        ("Team", "users", "dashboard.team.show"),
        ("Billing", "credit-card", "dashboard.billing.show"),
        ("Settings", "settings", "dashboard.settings.show"),
        ("Audit log", "scroll-text", "dashboard.activity.show"),
    ),
}
"""Group → pages as text, icon and endpoint: of the organization, or of the site."""
HOME = "dashboard.overview.show"
"""All other pages stand below this one."""
PERSONAL_PAGES = (
    ("Profile", "circle-user", "/account"),
    ("Security", "shield", "/account/security"),
    ("Sessions", "monitor", "/account/sessions"),
)


@dataclass(frozen=True)
class AccountFrame:
    """What ``dashboard/account_layout.html`` shows."""

    person: Person
    navigation: list[Group]


@dataclass(frozen=True)
class Viewed:
    """For how long, in minutes, a member of staff may still look at the organization."""

    minutes: int


@dataclass(frozen=True)
class Frame:
    """What ``dashboard/layout.html`` shows. ``used`` and ``limit`` count the month's live images;
    ``limit`` is None without a limit. ``notices`` are about payments, ``announcements`` the
    texts of what our staff announce. ``may_delete`` is whether the person may take a deletion
    back. ``viewed`` is set where the person is of our staff and no member.

    ``query`` keeps the mode in links: empty, or ``?mode=test``. ``may_change`` is whether the
    person may change images at all; ``has_workspace`` is whether the plan lets them upload and
    organize, which test data needs no plan for."""

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
    query: str
    may_change: bool
    has_workspace: bool
    may_delete: bool
    announcements: list[str]
    viewed: Viewed | None


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
        if who.viewing:
            organizations.append(memberships.seen_as(session, who.org_id, Role.OWNER))
        month = limits.summarise(session, who, now())
        place = standing.read(session)
    organization = next(one for one in organizations if one.id == who.org_id)
    return Frame(
        person=person(),
        organization=organization,
        organizations=organizations,
        plan=month.plan,
        navigation=_navigation(organization.slug),
        used=month.used,
        limit=month.limit,
        resets=f"{month.reset_date.day} {month.reset_date:%b}",
        notices=notices_of(place.organization, place.account, now()),
        may_pay=who.may(Action.MANAGE_BILLING),
        query=in_mode(""),
        may_change=who.may(Action.CHANGE_IMAGES),
        has_workspace=who.has_workspace,
        may_delete=who.may(Action.DELETE),
        announcements=announcing.texts_for(who.org_id, month.plan),
        viewed=_viewed(),
    )


def _viewed() -> Viewed | None:
    until = person().viewing_until
    if not principal().viewing or until is None:
        return None
    return Viewed(max(1, ceil((until - now()) / timedelta(minutes=1))))


def _navigation(slug: str) -> list[Group]:
    """The pages that the person's role may see."""
    return [
        Group(title, [entry for page in pages if (entry := _entry(slug, *page))])
        for title, pages in ORGANIZATION_PAGES.items()
    ]


def _entry(slug: str, text: str, icon: str, endpoint: str) -> Entry | None:
    """The link to a page, or None if its view would not let the person in."""
    requirement = getattr(current_app.view_functions[endpoint], "requirement", None)
    if not isinstance(requirement, Member):
        return Entry(text, icon, url_for(endpoint), is_current=False)
    if not principal().may(requirement.action):
        return None
    path = url_for(endpoint, slug=slug)
    return Entry(text, icon, in_mode(path), _is_current(path, url_for(HOME, slug=slug)))


def _is_current(path: str, home: str) -> bool:
    here = request.path
    if here.startswith(f"{home}/assets/"):  # an image's pages belong to the library
        return path == f"{home}/library"
    return here == path or (path != home and here.startswith(f"{path}/"))
