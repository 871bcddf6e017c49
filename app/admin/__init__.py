"""The console of our own people, one file per noun."""

from flask import Blueprint

from app.admin import (
    abuse,
    announcements,
    audit,
    blocks,
    health,
    jobs,
    organization,
    organization_actions,
    organizations,
    overview,
    plans,
    reconcile,
    reports,
    search,
    stripe,
    user_actions,
    users,
    viewing,
)
from app.web.requirements import hide_console

blueprint = Blueprint("admin", __name__, url_prefix="/admin")
blueprint.before_app_request(hide_console)
for section in (
    abuse,
    blocks,
    audit,
    users,
    user_actions,
    health,
    jobs,
    announcements,
    organizations,
    organization,
    organization_actions,
    overview,
    plans,
    reconcile,
    reports,
    search,
    stripe,
    viewing,
):
    blueprint.register_blueprint(section.blueprint)
