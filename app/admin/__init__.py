"""The console of our own people, one file per noun."""

from flask import Blueprint

from app.admin import (
    door,
    organization,
    organizations,
    overview,
    plans,
    reports,
    search,
)

blueprint = Blueprint("admin", __name__, url_prefix="/admin")
blueprint.before_app_request(door.hide)
for section in (
    organizations,
    organization,
    overview,
    plans,
    reports,
    search,
):
    blueprint.register_blueprint(section.blueprint)
