"""The customer's pages, one file per section."""

from flask import Blueprint

from app.dashboard import account, passkeys, second_step, security

blueprint = Blueprint("dashboard", __name__)
blueprint.register_blueprint(account.blueprint)
security.blueprint.register_blueprint(passkeys.blueprint)
for section in (second_step, security):
    blueprint.register_blueprint(section.blueprint)
