"""The console of our own people, one file per noun."""

from flask import Blueprint

from app.admin import (
    abuse,
    audit,
    blocks,
    door,
    health,
    organization,
    organization_actions,
    organizations,
    overview,
    plans,
    reports,
    search,
    user_actions,
    users,
)

blueprint = Blueprint("admin", __name__, url_prefix="/admin")
blueprint.before_app_request(door.hide)
for section in (
    abuse,
    blocks,
    audit,
    users,
    user_actions,
    health,
    organizations,
    organization,
    organization_actions,
    overview,
    plans,
    reports,
    search,
):
    blueprint.register_blueprint(section.blueprint)
