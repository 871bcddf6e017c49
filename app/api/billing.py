"""``/billing``: for servers with a payment provider. This version has none, and says so."""

from typing import NoReturn

from flask_openapi import APIBlueprint, Tag

from app.api.schema import SECURITY, errors
from app.errors import NotConfigured
from app.web.authentication import needs_key

blueprint = APIBlueprint(
    "billing", __name__, url_prefix="/billing", abp_tags=[Tag(name="Billing", description="Plans and payments.")]
)


@blueprint.post("/checkout", summary="Upgrade the plan", security=SECURITY, responses=errors(401, 403, 501))
@needs_key
def checkout() -> NoReturn:
    """Answers 501: this server has no payment provider."""
    raise NotConfigured("Payments are not configured on this server. Ask its operator to change the plan.")


@blueprint.post("/portal", summary="Manage the subscription", security=SECURITY, responses=errors(401, 403, 501))
@needs_key
def portal() -> NoReturn:
    """Answers 501: this server has no payment provider."""
    raise NotConfigured("Payments are not configured on this server. Ask its operator to change the plan.")
