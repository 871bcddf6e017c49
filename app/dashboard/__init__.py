"""The customer's pages, one file per section."""

from flask import Blueprint

from app.dashboard import (
    account,
    account_sessions,
    door,
    mailed,
    passkeys,
    second_step,
    security,
)

blueprint = Blueprint("dashboard", __name__)
security.blueprint.register_blueprint(passkeys.blueprint)
for section in (door, mailed, second_step, account, account_sessions, security):
    blueprint.register_blueprint(section.blueprint)
