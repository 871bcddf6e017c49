"""``/dashboard/<slug>/assets/<asset_id>``: an image or video, and what was
made of it."""

from flask import Blueprint

blueprint = Blueprint("assets", __name__, url_prefix="/dashboard/<slug>/assets")
