"""``/admin/search``: one box for everything that has an id or a name."""

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from app.admin.frame import admin_page
from app.extensions import transaction
from app.services.staff import search
from app.services.staff.duties import Duty
from app.services.staff.search import Found, Hit, Kind
from app.tenancy import unscoped
from app.web.requirements import Staff, requires

blueprint = Blueprint("search", __name__)
TABS = {
    Kind.KEY: "/keys",
    Kind.IMAGE: "/images",
    Kind.REQUEST: "/requests",
    Kind.EXPORT: "/exports",
    Kind.BILLING: "/stripe",
}
"""Where an organization's page shows such things."""


@blueprint.get("/search")
@requires(Staff(Duty.LOOK))
def show() -> Response:
    text = search.clean(request.args.get("q", ""))
    if search.holds_secret(text):
        return _of_secret(text)
    with transaction() as session, unscoped(session, "a search of the staff"):
        found = search.find(session, text)
    if found.leads_to:
        return redirect(path_of(found.leads_to))
    return _page(text, found)


def _of_secret(text: str) -> Response:
    """Lead on at once, because the address of this page holds a key."""
    with transaction() as session, unscoped(session, "a key that staff look for"):
        key = search.key_of(session, text)
    if key is None:
        flash("That is no key of ours, or it was replaced. What you typed was not kept.")
        return redirect(url_for("admin.search.show"))
    return redirect(f"{path_of(key)}#{key.id}")


def path_of(hit: Hit) -> str:
    """The page that shows what was found."""
    if hit.kind is Kind.PERSON:
        return f"/admin/users/{hit.id}"
    if hit.kind is Kind.EVENT:
        return f"/admin/stripe/{hit.id}"
    return f"/admin/organizations/{hit.org_id}{TABS.get(hit.kind, '')}"


def _page(text: str, found: Found) -> Response:
    return admin_page("admin/search.html", text=text, groups=found.groups, path_of=path_of)
