"""The customer's pages, one file per section."""

from flask import Blueprint

from app.dashboard import account, invitations, organizations, team

blueprint = Blueprint("dashboard", __name__)
blueprint.register_blueprint(account.blueprint)
blueprint.register_blueprint(organizations.blueprint)
blueprint.register_blueprint(team.blueprint)
blueprint.register_blueprint(invitations.blueprint)
