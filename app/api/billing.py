"""``/billing``: buy a plan, look after the subscription."""

from typing import Annotated, Literal

from flask import Response, url_for
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from app.errors import Forbidden
from app.extensions import transaction
from app.services.accounts import keys
from app.services.billing.checkout import open_checkout, open_portal
from app.services.billing.provider import Provider
from app.web import links
from app.web.context import container, principal, require_provider
from app.web.requirements import Key, requires
from app.web.schema import SECURITY, Body, Printable, answer, errors

blueprint = APIBlueprint(
    "billing",
    __name__,
    url_prefix="/billing",
    abp_tags=[Tag(name="Billing", description="Plans and payments, for keys of owners.")],
)


class Purchase(Body):
    plan: Annotated[str, Printable] = Field(
        description="TEAM or BUSINESS.", min_length=1, max_length=32, examples=["TEAM"]
    )
    interval: Literal["month", "year"] = Field("month", description="How often it is paid.")


class Page(BaseModel):
    url: str = Field(
        description="A page to open in a browser.", examples=["https://checkout.stripe.com/c/pay/…"]
    )


@blueprint.post(
    "/checkout",
    summary="Buy a plan, or change it",
    security=SECURITY,
    responses={200: Page, **errors(400, 401, 403, 409, 413, 415, 422, 501)},
)
@requires(Key("write"))
def checkout(body: Purchase) -> Response:
    """Returns the URL of Stripe's checkout; where a subscription runs already, of a page that
    confirms the change.

    The plan changes as soon as it is paid.
    """
    with container().outbound_calls.admitted(principal().org_id):
        url = open_checkout(
            _provider(),
            principal().org_id,
            principal().actor,
            body.plan,
            body.interval,
            _return_url(),
        )
    return answer(Page(url=url))


@blueprint.post(
    "/portal",
    summary="Look after the subscription",
    security=SECURITY,
    responses={200: Page, **errors(401, 403, 409, 413, 422, 501)},
)
@requires(Key("write"))
def portal() -> Response:
    """Returns the URL of Stripe's customer portal: change or cancel the plan, card, invoices."""
    with container().outbound_calls.admitted(principal().org_id):
        url = open_portal(_provider(), principal().org_id, principal().actor, _return_url())
    return answer(Page(url=url))


def _provider() -> Provider:
    """Raises Forbidden for keys that must not spend money: only owners look after billing."""
    if not principal().is_live:
        raise Forbidden("A test key spends no money: send a live key.")
    with transaction() as session:
        if not keys.is_of_an_owner(session, principal().actor.id):
            raise Forbidden("This key was made by somebody who is no owner: send an owner's key.")
    return require_provider()


def _return_url() -> str:
    return links.absolute(url_for("docs.site.plans"))
