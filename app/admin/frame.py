"""What stands around the console's pages."""

from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, request, url_for

from app.models import StaffRole
from app.services.accounts.sign_ins import Person
from app.services.staff import duties
from app.services.staff.duties import Duty
from app.web.navigation import Entry, Group
from app.web.pages import page
from app.web.requirements import Staff
from app.web.sessions import person

PAGES = {
    "": (
        ("Overview", "layout-dashboard", "admin.overview.show"),
        ("Organizations", "building-2", "admin.organizations.index"),
        ("People", "users", "admin.users.index"),
    ),
    "Business": (
        ("Plans", "layers", "admin.plans.index"),
        ("Stripe", "webhook", "admin.stripe.index"),
        ("Reports", "chart-column", "admin.reports.show"),
        ("Announcements", "bell", "admin.announcements.index"),
    ),
    "Operation": (
        ("Health", "activity", "admin.health.show"),
        ("Jobs", "list-checks", "admin.jobs.index"),
        ("Abuse", "shield-alert", "admin.abuse.show"),
        ("Staff log", "scroll-text", "admin.audit.show"),
    ),
}
"""Group → pages as text, icon and endpoint."""
HOME = "/admin"


@dataclass(frozen=True)
class AdminFrame:
    """What ``admin/layout.html`` shows. ``role`` is the person's; ``query`` what was searched."""

    person: Person
    role: StaffRole
    navigation: list[Group]
    query: str

    def may(self, duty: str) -> bool:
        """Whether the person's role includes a duty, by its name: ``frame.may("SUSPEND")``."""
        return duties.may(self.role, Duty[duty])


def admin_page(template: str, **values: Any) -> Response:
    """Render a page of the console in its frame."""
    who = person()
    assert who.staff_role is not None  # noqa: S101  # the requirement has seen to it
    navigation = [
        Group(title, [entry for one in pages if (entry := _entry(who.staff_role, *one))])
        for title, pages in PAGES.items()
    ]
    query = request.args.get("q", "") if request.path == f"{HOME}/search" else ""
    frame = AdminFrame(who, who.staff_role, navigation, query)
    return page(template, frame=frame, **values)


def _entry(role: StaffRole, text: str, icon: str, endpoint: str) -> Entry | None:
    """The link to a page, or None if the role does not include it."""
    requirement = getattr(current_app.view_functions[endpoint], "requirement", None)
    if isinstance(requirement, Staff) and not duties.may(role, requirement.duty):
        return None
    path = url_for(endpoint)
    here = request.path
    is_current = here == path or (path != HOME and here.startswith(f"{path}/"))
    return Entry(text, icon, path, is_current)
