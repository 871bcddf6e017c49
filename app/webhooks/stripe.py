"""``POST /webhooks/stripe``: the payment provider's events."""

import structlog
from flask import Blueprint, request

from app.adapters.payments.interface import InvalidSignature
from app.errors import BadRequest
from app.extensions import transaction
from app.services.billing import inbox
from app.services.billing.provider import Provider
from app.web.admission import before_body
from app.web.context import container, now, require_provider
from app.web.requirements import Nothing, requires

log = structlog.get_logger()

MAX_BODY_BYTES = 512 * 1024
"""Ten times the size of the largest event."""

blueprint = Blueprint("webhooks", __name__)


def _provider() -> Provider:
    """Limit the body and return the payment provider. Raises NotConfigured."""
    request.max_content_length = MAX_BODY_BYTES
    return require_provider()


@blueprint.post("/webhooks/stripe")
@before_body(_provider)
@requires(Nothing())
def receive() -> dict[str, bool]:
    """Verify, store, answer 200; raises BadRequest, and TooLarge before anything is read."""
    provider = _provider()
    try:
        event = provider.payments.event(
            request.get_data(), request.headers.get("Stripe-Signature", "")
        )
    except InvalidSignature as error:
        log.warning("webhook.refused", reason=str(error))
        raise BadRequest(
            "The signature is not valid for this body, or older than five minutes."
        ) from None
    with transaction() as session:
        is_due = inbox.receive(session, event, now())
    if is_due:
        inbox.enqueue(container().redis)
    return {"received": True}
