"""The public pages: what the product is and costs, the API reference, the pages about errors."""

from flask import Blueprint

from app.docs import pages, site, squeeze

blueprint = Blueprint("docs", __name__)
blueprint.register_blueprint(site.blueprint)
blueprint.register_blueprint(squeeze.blueprint)
blueprint.register_blueprint(pages.blueprint)
