"""``/dashboard/<slug>/assets/<asset_id>/edit``: a chain of operations, seen before it is saved."""

from flask import Blueprint

blueprint = Blueprint("editor", __name__, url_prefix="/dashboard/<slug>/assets/<asset_id>/edit")
