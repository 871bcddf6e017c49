"""The customer's pages, one file per section."""

from flask import Blueprint

from app.dashboard import account, account_sessions, door, mailed

blueprint = Blueprint("dashboard", __name__)
for section in (door, mailed, account, account_sessions):
    blueprint.register_blueprint(section.blueprint)
