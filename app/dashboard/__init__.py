"""The customer's pages, one file per section."""

from flask import Blueprint

from app.dashboard import (
    account,
    account_sessions,
    activity,
    billing,
    data_export,
    deletion,
    door,
    invitations,
    keys,
    mailed,
    organizations,
    overview,
    passkeys,
    second_step,
    security,
    settings,
    team,
    usage,
)

DOOR = (door, mailed, second_step, invitations)
PERSON = (account, account_sessions, security)
ORGANIZATION = (
    organizations,
    overview,
    usage,
    keys,
    team,
    billing,
    settings,
    data_export,
    deletion,
    activity,
)

blueprint = Blueprint("dashboard", __name__)
security.blueprint.register_blueprint(passkeys.blueprint)
for section in (*DOOR, *PERSON, *ORGANIZATION):
    blueprint.register_blueprint(section.blueprint)
