"""The customer's pages, one file per section."""

from flask import Blueprint

from app.dashboard import account, billing

blueprint = Blueprint("dashboard", __name__)
blueprint.register_blueprint(account.blueprint)
blueprint.register_blueprint(billing.blueprint)
