"""The console of our own people, one file per noun."""

from flask import Blueprint

from app.admin import (
    door,
    health,
    organization,
    organizations,
    overview,
    search,
)

blueprint = Blueprint("admin", __name__, url_prefix="/admin")
blueprint.before_app_request(door.hide)
for section in (
    health,
    organizations,
    organization,
    overview,
    search,
):
    blueprint.register_blueprint(section.blueprint)
