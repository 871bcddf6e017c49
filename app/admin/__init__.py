"""The console of our own people, one file per noun."""

from flask import Blueprint

from app.admin import (
    audit,
    door,
    overview,
    search,
    user_actions,
    users,
)

blueprint = Blueprint("admin", __name__, url_prefix="/admin")
blueprint.before_app_request(door.hide)
for section in (
    overview,
    search,
    users,
    user_actions,
    audit,
):
    blueprint.register_blueprint(section.blueprint)
