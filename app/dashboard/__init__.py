"""The customer's pages, one file per section."""

from flask import Blueprint

from app.dashboard import (
    account,
    account_sessions,
    billing,
    door,
    invitations,
    mailed,
    organizations,
    passkeys,
    second_step,
    security,
    team,
)

DOOR = (door, mailed, second_step, invitations)
PERSON = (account, account_sessions, security)
ORGANIZATION = (organizations, team, billing)

blueprint = Blueprint("dashboard", __name__)
security.blueprint.register_blueprint(passkeys.blueprint)
for section in (*DOOR, *PERSON, *ORGANIZATION):
    blueprint.register_blueprint(section.blueprint)
