"""``/dashboard/<slug>/library/collections``: the tree of collections."""

from flask import Blueprint

blueprint = Blueprint("collections", __name__, url_prefix="/dashboard/<slug>/library/collections")
