"""The customer's pages, one file per section."""

from flask import Blueprint

from app.dashboard import (
    account,
    account_sessions,
    activity,
    assets,
    billing,
    bulk,
    collections,
    data_export,
    deletion,
    door,
    editor,
    exports,
    invitations,
    keys,
    library,
    mailed,
    organizations,
    overview,
    passkeys,
    playground,
    presets,
    second_step,
    security,
    settings,
    team,
    trash,
    uploads,
    usage,
)

DOOR = (door, mailed, second_step, invitations)
PERSON = (account, account_sessions, security)
IMAGES = (
    playground,
    library,
    bulk,
    uploads,
    collections,
    assets,
    editor,
    trash,
    presets,
    exports,
)
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
for section in (*DOOR, *PERSON, *IMAGES, *ORGANIZATION):
    blueprint.register_blueprint(section.blueprint)
