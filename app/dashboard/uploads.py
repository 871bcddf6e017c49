"""``/dashboard/<slug>/library/uploads``: files go from the browser straight to storage."""

from flask import Blueprint

blueprint = Blueprint("uploads", __name__, url_prefix="/dashboard/<slug>/library/uploads")
