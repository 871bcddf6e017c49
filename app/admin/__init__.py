"""The console of our own people, one file per noun."""

from flask import Blueprint

from app.admin import (
    announcements,
    door,
    organization,
    organizations,
    overview,
    search,
    viewing,
)

blueprint = Blueprint("admin", __name__, url_prefix="/admin")
blueprint.before_app_request(door.hide)
for section in (
    announcements,
    organizations,
    organization,
    overview,
    search,
    viewing,
):
    blueprint.register_blueprint(section.blueprint)
